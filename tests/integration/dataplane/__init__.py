"""The data plane's handlers over a real engine, asked by a real client, without a socket between them."""
