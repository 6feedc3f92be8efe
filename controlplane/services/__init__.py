"""One servicer per service of the admin API: message in, engine call, message out."""
