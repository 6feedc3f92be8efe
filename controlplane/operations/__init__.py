"""Long work of operators: what there is of it, and what carries it out under leases."""
