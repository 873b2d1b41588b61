"""How the bundled model was trained: autoencoder, text encoder, then both with the UNet.

Run in this order; each is seeded, writes checkpoints, and resumes where it stopped::

    python -m weft.nodes.shapes.training.vae  --work build/shapes
    python -m weft.nodes.shapes.training.robust --work build/shapes
    python -m weft.nodes.shapes.training.text --work build/shapes
    python -m weft.nodes.shapes.training.unet --work build/shapes
    python -m weft.nodes.shapes.training.decoder --work build/shapes
    python -m weft.nodes.shapes.training.export --work build/shapes --out nodes/shapes/model
"""
