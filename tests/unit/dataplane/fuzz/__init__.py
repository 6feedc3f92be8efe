"""Whatever bytes come, parsers answer or refuse in kind: nothing but typed errors ever leaves them."""
