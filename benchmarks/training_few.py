"""What each technique learns of a few pictures, trained by its node."""
