"""Run by a Python with PyTorch: models with made-up weights, saved in FOLDER in the ways that
people save them, and their own features of PICTURES, in FOLDER/features.json.

torch_models.py FOLDER PICTURE...
"""

import json
import pathlib
import sys

import safetensors.torch
import timm
import torch
import torchvision
from PIL import Image

WEIGHTS = torchvision.models.MobileNet_V2_Weights


def trained(model, seed, batch):
    """Random kernels, normalised by the statistics of a batch as training does it; so rounding does
    not grow from layer to layer as it does where a random network saturates."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.dim() > 1:
            values = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(values * (2 / tensor[0].numel()) ** 0.5)
        elif name.endswith("weight"):
            tensor.copy_(0.5 + 0.5 * torch.rand(tensor.shape, generator=generator))
        elif name.endswith("bias"):
            tensor.copy_(1 + 0.5 * torch.randn(tensor.shape, generator=generator))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1
    with torch.no_grad():
        model.train()(batch)
    return model.eval()


def batch_of(transform, pictures):
    return torch.stack([transform(Image.open(path).convert("RGB")) for path in pictures])


def features(forward, batch):
    with torch.no_grad():
        return [forward(picture[None])[0].tolist() for picture in batch]


def main(folder, pictures):
    expected = {}

    # torchvision: one model, the two preprocessings of its two sets of weights.
    batches = {
        "torchvision-v1": batch_of(WEIGHTS.IMAGENET1K_V1.transforms(), pictures),
        "torchvision-v2": batch_of(WEIGHTS.IMAGENET1K_V2.transforms(), pictures),
    }
    model = trained(torchvision.models.mobilenet_v2(), 1, batches["torchvision-v2"])
    state = model.state_dict()
    torch.save(state, folder / "mobilenet_v2-7ebf99e0.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, folder / "torchvision.safetensors")
    last = {"epoch": 3, "lr": 0.1, "model": {"module." + k: v for k, v in state.items()}}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.save(last | {"optimizer": optimizer.state_dict()}, folder / "checkpoint.tar")
    torch.save(dict(model.to(memory_format=torch.channels_last).state_dict()), folder / "last.pt")
    torch.save(model, folder / "whole.pth")

    def pooled(batch):
        maps = model.features(batch)
        return torch.flatten(torch.nn.functional.adaptive_avg_pool2d(maps, (1, 1)), 1)

    for name, batch in batches.items():
        expected[name] = features(pooled, batch)

    # timm, by its own words for the pictures.
    for number, name in enumerate(["mobilenetv2_100", "mobilenetv2_050", "mobilenetv2_140"]):
        model = timm.create_model(name, num_classes=7)
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
        batch = batch_of(transform, pictures)
        trained(model, 10 + number, batch)
        safetensors.torch.save_file(model.state_dict(), folder / f"{name}.safetensors")
        torch.save(model.state_dict(), folder / f"{name}.bin")
        model.reset_classifier(0)
        expected[name] = features(model, batch)
    deeper = timm.create_model("mobilenetv2_110d")
    safetensors.torch.save_file(deeper.state_dict(), folder / "mobilenetv2_110d.safetensors")

    versions = {"torch": torch.__version__, "timm": timm.__version__}
    (folder / "features.json").write_text(json.dumps({"features": expected, "versions": versions}))


main(pathlib.Path(sys.argv[1]), sys.argv[2:])
