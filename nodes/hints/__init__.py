"""What the nodes that make hints compute: edges, flat regions, skeletons, and the models some of them need.

Everything here goes from a picture to a picture of the same size and knows neither nodes nor the denoiser. What lays a
hint out for a run stands in `nets`.
"""
