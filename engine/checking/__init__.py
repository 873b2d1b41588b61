"""What is wrong with a workflow, and the form in which it is planned."""
