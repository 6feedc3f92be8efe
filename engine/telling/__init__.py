"""What the processes of a node tell its control plane, and what that wishes to be told: log lines, levels, requests."""
