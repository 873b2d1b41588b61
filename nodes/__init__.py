"""What a workflow can do: every node of the package, each importable from here.

A file put into ``nodes/basic`` or ``nodes/techniques`` is found by itself. Nothing heavy is imported: node files
declare, and load torch when a node runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from engine import Node

if TYPE_CHECKING:
    # By name, so that type checkers and editors see their signatures; a test keeps the list whole.
    from nodes.basic.arithmetic import add as add
    from nodes.basic.arithmetic import add_integers as add_integers
    from nodes.basic.arithmetic import divide as divide
    from nodes.basic.arithmetic import divide_integers as divide_integers
    from nodes.basic.arithmetic import limit_number as limit_number
    from nodes.basic.arithmetic import multiply as multiply
    from nodes.basic.arithmetic import multiply_integers as multiply_integers
    from nodes.basic.arithmetic import remainder as remainder
    from nodes.basic.arithmetic import round_number as round_number
    from nodes.basic.arithmetic import subtract as subtract
    from nodes.basic.choose import compare as compare
    from nodes.basic.choose import if_ as if_
    from nodes.basic.choose import switch as switch
    from nodes.basic.columns import columns_mask as columns_mask
    from nodes.basic.columns import zero_columns as zero_columns
    from nodes.basic.constants import boolean as boolean
    from nodes.basic.constants import integer as integer
    from nodes.basic.constants import number as number
    from nodes.basic.constants import text as text
    from nodes.basic.decode import decode as decode
    from nodes.basic.denoise import denoise as denoise
    from nodes.basic.depth import depth as depth
    from nodes.basic.edges import canny as canny
    from nodes.basic.edges import scribble as scribble
    from nodes.basic.edges import soft_edge as soft_edge
    from nodes.basic.encode_image import encode_image as encode_image
    from nodes.basic.encode_image import encode_masked_image as encode_masked_image
    from nodes.basic.encode_prompt import encode_prompt as encode_prompt
    from nodes.basic.image_grid import image_grid as image_grid
    from nodes.basic.items import collect as collect
    from nodes.basic.items import integers as integers
    from nodes.basic.items import map_over as map_over
    from nodes.basic.latents import blend as blend
    from nodes.basic.latents import resize_latents as resize_latents
    from nodes.basic.load_image import load_image as load_image
    from nodes.basic.load_image import load_mask as load_mask
    from nodes.basic.load_model import load_model as load_model
    from nodes.basic.loops import repeat as repeat
    from nodes.basic.loops import while_ as while_
    from nodes.basic.masks import combine_masks as combine_masks
    from nodes.basic.masks import composite as composite
    from nodes.basic.masks import ellipse_mask as ellipse_mask
    from nodes.basic.masks import feather_mask as feather_mask
    from nodes.basic.masks import grow_mask as grow_mask
    from nodes.basic.masks import image_to_mask as image_to_mask
    from nodes.basic.masks import invert_mask as invert_mask
    from nodes.basic.masks import mask_to_image as mask_to_image
    from nodes.basic.masks import rectangle_mask as rectangle_mask
    from nodes.basic.masks import threshold_mask as threshold_mask
    from nodes.basic.noise import noise as noise
    from nodes.basic.pose import pose as pose
    from nodes.basic.resize import crop as crop
    from nodes.basic.resize import pad as pad
    from nodes.basic.resize import resize as resize
    from nodes.basic.resize import resize_mask as resize_mask
    from nodes.basic.resize_to import resize_to as resize_to
    from nodes.basic.save_image import save_image as save_image
    from nodes.basic.segmentation_palette import segmentation_palette as segmentation_palette
    from nodes.basic.text import fill_text as fill_text
    from nodes.basic.text import join_text as join_text
    from nodes.techniques.apply_lora import apply_lora as apply_lora
    from nodes.techniques.apply_lora import merge_loras as merge_loras
    from nodes.techniques.attend_and_excite import attend_and_excite as attend_and_excite
    from nodes.techniques.cfg import cfg as cfg
    from nodes.techniques.controlnet import controlnet as controlnet
    from nodes.techniques.controlnet import load_controlnet as load_controlnet
    from nodes.techniques.depth_control import depth_control as depth_control
    from nodes.techniques.diffedit import diffedit as diffedit
    from nodes.techniques.diffedit_mask import diffedit_mask as diffedit_mask
    from nodes.techniques.during import during as during
    from nodes.techniques.edit_model import edit_model as edit_model
    from nodes.techniques.instruct_pix2pix import instruct_pix2pix as instruct_pix2pix
    from nodes.techniques.invert import from_inversion as from_inversion
    from nodes.techniques.invert import invert as invert
    from nodes.techniques.ip_adapter import ip_adapter as ip_adapter
    from nodes.techniques.ip_adapter import load_ip_adapter as load_ip_adapter
    from nodes.techniques.load_custom_diffusion import load_custom_diffusion as load_custom_diffusion
    from nodes.techniques.load_dreambooth import load_dreambooth as load_dreambooth
    from nodes.techniques.load_textual_inversion import load_textual_inversion as load_textual_inversion
    from nodes.techniques.multidiffusion import multidiffusion as multidiffusion
    from nodes.techniques.pag import pag as pag
    from nodes.techniques.pix2pix_zero import pix2pix_zero as pix2pix_zero
    from nodes.techniques.prompt_to_prompt import prompt_to_prompt as prompt_to_prompt
    from nodes.techniques.regions import regions as regions
    from nodes.techniques.rescale_guidance import rescale_guidance as rescale_guidance
    from nodes.techniques.sag import sag as sag
    from nodes.techniques.sega import sega as sega
    from nodes.techniques.t2i_adapter import load_t2i_adapter as load_t2i_adapter
    from nodes.techniques.t2i_adapter import t2i_adapter as t2i_adapter
    from nodes.techniques.weighted_prompt import weighted_prompt as weighted_prompt


_FOLDERS = ("nodes.basic", "nodes.techniques")


def _discover() -> dict[str, Any]:
    """Nodes by attribute name, from every module of the node folders."""
    found: dict[str, Any] = {}
    for folder in _FOLDERS:
        package = importlib.import_module(folder)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            module = importlib.import_module(f"{folder}.{info.name}")
            # A module may import another file's node to build on it; only its own are exported from it.
            found.update(
                (name, item)
                for name, item in vars(module).items()
                if isinstance(item, Node) and item.node_type.fn.__module__ == module.__name__
            )
    return found


globals().update(_discover())
