"""Which backends take a piece: pure policy over what is known of them, no call to any."""
