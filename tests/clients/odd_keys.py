"""Keys that break what escapes too much, too little or twice."""

ODD_KEYS = [
    "a b",
    "a+b",
    "100%",
    "50%25",
    "what?x=1&y=2",
    "#first",
    "ü/日本/😀",
    "quote'\"<tag>&amp;",
    "~tilde!*()",
    "c:\\windows",
    "equals=comma,semi;at@",
    "k" * 1024,
]
"""Every client keeps these."""

SLASHED_KEYS = ["a//b", "//first", "folder/", "trailing//"]
"""Clients that make file names of keys clean these up before they send them."""
