"""What every metadata store must do, whichever database it runs on."""
