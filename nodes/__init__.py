"""What a workflow can do: every node of the package, each importable from here.

A file put into ``nodes/basic`` or ``nodes/techniques`` is found by itself. Nothing heavy is imported: node files
declare, and load torch when a node runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine.catalogue.modules import declared_in, modules
from weft.engine.declaring.model_list import ModelEntry, lists_models

if TYPE_CHECKING:
    # By name, so that type checkers and editors see their signatures; a test keeps the list whole.
    from weft.nodes.basic.arithmetic import add as add
    from weft.nodes.basic.arithmetic import add_integers as add_integers
    from weft.nodes.basic.arithmetic import divide as divide
    from weft.nodes.basic.arithmetic import divide_integers as divide_integers
    from weft.nodes.basic.arithmetic import limit_number as limit_number
    from weft.nodes.basic.arithmetic import multiply as multiply
    from weft.nodes.basic.arithmetic import multiply_integers as multiply_integers
    from weft.nodes.basic.arithmetic import remainder as remainder
    from weft.nodes.basic.arithmetic import round_number as round_number
    from weft.nodes.basic.arithmetic import subtract as subtract
    from weft.nodes.basic.batch_prompts import batch_prompts as batch_prompts
    from weft.nodes.basic.choose import compare as compare
    from weft.nodes.basic.choose import if_ as if_
    from weft.nodes.basic.choose import switch as switch
    from weft.nodes.basic.columns import columns_mask as columns_mask
    from weft.nodes.basic.columns import zero_columns as zero_columns
    from weft.nodes.basic.constants import boolean as boolean
    from weft.nodes.basic.constants import integer as integer
    from weft.nodes.basic.constants import number as number
    from weft.nodes.basic.constants import text as text
    from weft.nodes.basic.decode import decode as decode
    from weft.nodes.basic.denoise import denoise as denoise
    from weft.nodes.basic.depth import depth as depth
    from weft.nodes.basic.draw_text import draw_text as draw_text
    from weft.nodes.basic.edges import canny as canny
    from weft.nodes.basic.edges import scribble as scribble
    from weft.nodes.basic.edges import soft_edge as soft_edge
    from weft.nodes.basic.encode_image import encode_image as encode_image
    from weft.nodes.basic.encode_image import encode_masked_image as encode_masked_image
    from weft.nodes.basic.encode_prompt import encode_prompt as encode_prompt
    from weft.nodes.basic.image_grid import image_grid as image_grid
    from weft.nodes.basic.items import collect as collect
    from weft.nodes.basic.items import integers as integers
    from weft.nodes.basic.items import map_over as map_over
    from weft.nodes.basic.latents import blend as blend
    from weft.nodes.basic.latents import resize_latents as resize_latents
    from weft.nodes.basic.load_image import load_image as load_image
    from weft.nodes.basic.load_image import load_mask as load_mask
    from weft.nodes.basic.load_model import load_model as load_model
    from weft.nodes.basic.load_vae import load_vae as load_vae
    from weft.nodes.basic.loops import repeat as repeat
    from weft.nodes.basic.loops import while_ as while_
    from weft.nodes.basic.masks import combine_masks as combine_masks
    from weft.nodes.basic.masks import composite as composite
    from weft.nodes.basic.masks import ellipse_mask as ellipse_mask
    from weft.nodes.basic.masks import feather_mask as feather_mask
    from weft.nodes.basic.masks import grow_mask as grow_mask
    from weft.nodes.basic.masks import image_to_mask as image_to_mask
    from weft.nodes.basic.masks import invert_mask as invert_mask
    from weft.nodes.basic.masks import mask_to_image as mask_to_image
    from weft.nodes.basic.masks import rectangle_mask as rectangle_mask
    from weft.nodes.basic.masks import threshold_mask as threshold_mask
    from weft.nodes.basic.noise import noise as noise
    from weft.nodes.basic.pose import pose as pose
    from weft.nodes.basic.resize import crop as crop
    from weft.nodes.basic.resize import pad as pad
    from weft.nodes.basic.resize import resize as resize
    from weft.nodes.basic.resize import resize_mask as resize_mask
    from weft.nodes.basic.resize_to import resize_to as resize_to
    from weft.nodes.basic.save_image import save_image as save_image
    from weft.nodes.basic.segmentation_palette import segmentation_palette as segmentation_palette
    from weft.nodes.basic.size_conditioning import size_conditioning as size_conditioning
    from weft.nodes.basic.text import fill_text as fill_text
    from weft.nodes.basic.text import join_text as join_text
    from weft.nodes.basic.upscale import load_upscaler as load_upscaler
    from weft.nodes.basic.upscale import upscale as upscale
    from weft.nodes.data.bucket import bucket as bucket
    from weft.nodes.data.caches import cache_latents as cache_latents
    from weft.nodes.data.caches import cache_text as cache_text
    from weft.nodes.data.class_images import class_images as class_images
    from weft.nodes.data.dataset_captioned import dataset_captioned as dataset_captioned
    from weft.nodes.data.dataset_concepts import dataset_concepts as dataset_concepts
    from weft.nodes.data.dataset_concepts import join_datasets as join_datasets
    from weft.nodes.data.dataset_folder import dataset_folder as dataset_folder
    from weft.nodes.data.dataset_paired import dataset_paired as dataset_paired
    from weft.nodes.data.shapes_dataset import shapes_dataset as shapes_dataset
    from weft.nodes.data.split import split as split
    from weft.nodes.techniques.apply_adapter import apply_adapter as apply_adapter
    from weft.nodes.techniques.apply_lora import apply_lora as apply_lora
    from weft.nodes.techniques.apply_lora import merge_loras as merge_loras
    from weft.nodes.techniques.attend_and_excite import attend_and_excite as attend_and_excite
    from weft.nodes.techniques.cfg import cfg as cfg
    from weft.nodes.techniques.controlnet import controlnet as controlnet
    from weft.nodes.techniques.controlnet import load_controlnet as load_controlnet
    from weft.nodes.techniques.depth_control import depth_control as depth_control
    from weft.nodes.techniques.diffedit import diffedit as diffedit
    from weft.nodes.techniques.diffedit_mask import diffedit_mask as diffedit_mask
    from weft.nodes.techniques.during import during as during
    from weft.nodes.techniques.edit_model import edit_model as edit_model
    from weft.nodes.techniques.instruct_pix2pix import instruct_pix2pix as instruct_pix2pix
    from weft.nodes.techniques.invert import from_inversion as from_inversion
    from weft.nodes.techniques.invert import invert as invert
    from weft.nodes.techniques.ip_adapter import ip_adapter as ip_adapter
    from weft.nodes.techniques.load_custom_diffusion import load_custom_diffusion as load_custom_diffusion
    from weft.nodes.techniques.load_dreambooth import load_dreambooth as load_dreambooth
    from weft.nodes.techniques.load_ip_adapter import load_ip_adapter as load_ip_adapter
    from weft.nodes.techniques.load_textual_inversion import load_textual_inversion as load_textual_inversion
    from weft.nodes.techniques.multidiffusion import multidiffusion as multidiffusion
    from weft.nodes.techniques.pag import pag as pag
    from weft.nodes.techniques.pix2pix_zero import pix2pix_zero as pix2pix_zero
    from weft.nodes.techniques.prompt_to_prompt import prompt_to_prompt as prompt_to_prompt
    from weft.nodes.techniques.regions import regions as regions
    from weft.nodes.techniques.rescale_guidance import rescale_guidance as rescale_guidance
    from weft.nodes.techniques.sag import sag as sag
    from weft.nodes.techniques.sega import sega as sega
    from weft.nodes.techniques.t2i_adapter import load_t2i_adapter as load_t2i_adapter
    from weft.nodes.techniques.t2i_adapter import t2i_adapter as t2i_adapter
    from weft.nodes.techniques.weighted_prompt import weighted_prompt as weighted_prompt
    from weft.nodes.train.compare_adapters import compare_adapters as compare_adapters
    from weft.nodes.train.load_adapter import load_adapter as load_adapter
    from weft.nodes.train.loss_curve import loss_curve as loss_curve
    from weft.nodes.train.preferences import preferences as preferences
    from weft.nodes.train.reward_aesthetic import reward_aesthetic as reward_aesthetic
    from weft.nodes.train.reward_alignment import reward_alignment as reward_alignment
    from weft.nodes.train.reward_human import reward_human as reward_human
    from weft.nodes.train.reward_jpeg import reward_compressibility as reward_compressibility
    from weft.nodes.train.reward_jpeg import reward_incompressibility as reward_incompressibility
    from weft.nodes.train.reward_random import reward_random as reward_random
    from weft.nodes.train.reward_shapes import reward_shapes as reward_shapes
    from weft.nodes.train.reward_sum import reward_sum as reward_sum
    from weft.nodes.train.save_adapter import save_adapter as save_adapter
    from weft.nodes.train.save_curve import save_curve as save_curve
    from weft.nodes.train.train_controlnet import train_controlnet as train_controlnet
    from weft.nodes.train.train_custom_diffusion import train_custom_diffusion as train_custom_diffusion
    from weft.nodes.train.train_ddpo import train_ddpo as train_ddpo
    from weft.nodes.train.train_dpo import train_dpo as train_dpo
    from weft.nodes.train.train_dreambooth import train_dreambooth as train_dreambooth
    from weft.nodes.train.train_instruct_pix2pix import train_instruct_pix2pix as train_instruct_pix2pix
    from weft.nodes.train.train_ip_adapter import train_ip_adapter as train_ip_adapter
    from weft.nodes.train.train_lora import train_lora as train_lora
    from weft.nodes.train.train_options import train_options as train_options
    from weft.nodes.train.train_reward_backprop import train_reward_backprop as train_reward_backprop
    from weft.nodes.train.train_t2i_adapter import train_t2i_adapter as train_t2i_adapter
    from weft.nodes.train.train_textual_inversion import train_textual_inversion as train_textual_inversion


@lists_models
def list_models(folders: Sequence[Path]) -> Iterator[ModelEntry]:
    """The models that ship with this package, and what lies in the model folders."""
    from weft.nodes.listing import entries

    yield from entries(folders)


NODE_FOLDERS = ("basic", "techniques", "data", "train")
"""Where the nodes are: the engine looks there, as in any package that says so, and leaves the rest for later."""

globals().update((name, node) for module in modules(sys.modules[__name__]) for name, node in declared_in(module))
