"""What tests rely on, tested itself."""
