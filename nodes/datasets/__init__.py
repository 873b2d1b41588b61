"""What the nodes that make data sets share: files, tables, sizes, and drawn pictures.

No node is declared here; those stand in `nodes.data`. What trains on a data set is in `nodes.training`.
"""
