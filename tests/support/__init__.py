"""What several suites share: a served deployment, fault tools."""
