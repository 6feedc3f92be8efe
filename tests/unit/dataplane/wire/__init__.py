"""The wire's parsers and writers; ids of rows in test names are those of the list of bad inputs."""
