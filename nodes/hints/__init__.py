"""What the nodes that make hints compute: edges, flat regions, skeletons, and the models some of them need."""
