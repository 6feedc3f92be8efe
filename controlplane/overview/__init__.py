"""How the deployment is and what happens in it, put together for those who watch."""
