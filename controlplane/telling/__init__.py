"""What this node's processes tell, kept and handed on to whoever asks: log lines, requests, levels."""
