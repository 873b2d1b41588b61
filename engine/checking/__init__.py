"""What is wrong with a workflow, said all at once, and the form in which it is planned.

What can be known of a document and the declarations of its nodes belongs here; nothing in this folder runs a node.
"""
