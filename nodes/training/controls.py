"""What a network that was learned adds to validation pictures: each prompt has the hint of one item, or its picture."""

from __future__ import annotations

import torch

from weft.nodes.techniques.controlnet import controlnet, load_controlnet
from weft.nodes.techniques.ip_adapter import ip_adapter
from weft.nodes.techniques.load_ip_adapter import load_ip_adapter
from weft.nodes.techniques.t2i_adapter import load_t2i_adapter, t2i_adapter
from weft.nodes.training.image_states import Prompting, prompting_picture
from weft.nodes.training.material import Material
from weft.nodes.training.pictures import View, colour_of, size_of
from weft.nodes.training.running import Controlled, Controls
from weft.nodes.values.pictures import Image
from weft.nodes.values.training import Adapter, Item


def hinted(material: Material) -> Controls:
    """A ControlNet or T2I-Adapter with the hints of the items that are held out, else of those that are learned."""

    def control(adapter: Adapter, number: int) -> Controlled:
        item = _item(material, number)
        size = size_of(item, material.model.size)
        hint = Image(material.hints([item], [View(size)]).permute(0, 2, 3, 1).contiguous())
        if adapter.kind == "controlnet":
            return Controlled(controlnet(load_controlnet(adapter=adapter), hint), size)
        return Controlled(t2i_adapter(load_t2i_adapter(adapter=adapter), hint), size)

    return control


def prompted_by(material: Material, prompting: Prompting) -> Controls:
    """An IP-Adapter with the pictures of these items, at the scale that it is trained with."""

    def control(adapter: Adapter, number: int) -> Controlled:
        item = _item(material, number)
        pixels = torch.from_numpy(colour_of(prompting_picture(item, prompting)))[None]
        net = load_ip_adapter(adapter=adapter)
        return Controlled(ip_adapter(net, Image(pixels), scale=1.0), size_of(item, material.model.size))

    return control


def _item(material: Material, number: int) -> Item:
    items = material.validation or material.instances
    return items[number % len(items)]
