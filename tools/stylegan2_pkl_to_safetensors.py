#!/usr/bin/env python3
"""Turns a StyleGAN2-ADA network (.pkl) into safetensors files that stylescope reads.

The .pkl holds Python objects that only the reference implementation can unpickle, so this script needs your own copy
of it (github.com/NVlabs/stylegan2-ada-pytorch, or a fork such as stylegan3, under its own licence) and an environment
in which it runs. Unpickling runs code that the file names: convert only files that you trust.

    python stylegan2_pkl_to_safetensors.py --reference ~/stylegan2-ada-pytorch ffhq.pkl --out ffhq
    stylescope import ffhq-G.safetensors --out G.safetensors
    stylescope generate --weights G.safetensors --seeds 0-15 --out images

writes ffhq-G.safetensors (the moving average, G_ema) and ffhq-D.safetensors. Tensors keep their names and bits; what
no tensor says (conv_clamp, mbstd_group) goes into the metadata.
"""

import argparse
import ctypes
import json
import os
import struct
import sys

DTYPES = {"torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16",
          "torch.int64": "I64", "torch.int32": "I32", "torch.int16": "I16", "torch.int8": "I8", "torch.uint8": "U8",
          "torch.bool": "BOOL"}


def write_safetensors(path, tensors, metadata):
    """tensors: name -> (dtype such as "F32", shape, bytes). Written beside its place and renamed: whole, or not there."""
    header, offset = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = f"{path}.tmp{os.getpid()}"
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def content_of(tensor):
    tensor = tensor.detach().cpu().contiguous()
    data = ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()) if tensor.numel() else b""
    return DTYPES[str(tensor.dtype)], tuple(tensor.shape), data


def tensors_of(module):
    """Parameters and buffers under their own names, in the module's order."""
    tensors = {name: content_of(tensor) for name, tensor in module.named_parameters()}
    tensors.update({name: content_of(tensor) for name, tensor in module.named_buffers()})
    return tensors


def values_of(module, attribute):
    """Every different value that layers of the network have for an attribute of theirs (D's skips have no clamp)."""
    found = {getattr(layer, attribute) for layer in module.modules() if hasattr(layer, attribute)}
    return sorted(found - {None}, key=repr)


def only_value(module, attribute, what):
    values = values_of(module, attribute)
    if len(values) > 1:
        sys.exit(f"{what}: its layers have different values of {attribute} ({values}); stylescope knows one for all")
    return values[0] if values else None


def check_architecture(module, allowed, what):
    odd = [value for value in values_of(module, "architecture") if value not in allowed]
    if odd:
        sys.exit(f"{what}: has the architecture {odd[0]!r}; stylescope has {' and '.join(allowed)}")


def convert_generator(generator, path, source):
    check_architecture(generator, ("skip",), "G_ema")
    clamp = only_value(generator, "conv_clamp", "G_ema") or 0
    write_safetensors(path, tensors_of(generator), {"source": source, "conv_clamp": clamp})


def convert_discriminator(discriminator, path, source):
    check_architecture(discriminator, ("resnet", "orig"), "D")
    clamp = only_value(discriminator, "conv_clamp", "D") or 0
    group = only_value(discriminator, "group_size", "D")
    metadata = {"source": source, "conv_clamp": clamp}
    if group:
        metadata["mbstd_group"] = group
    else:
        print("D: its minibatch standard deviation is over the whole batch; give stylescope import --mbstd-group")
    write_safetensors(path, tensors_of(discriminator), metadata)


def load_networks(reference, pkl):
    """By the reference's own loader, from the folder that the user names."""
    if not os.path.isfile(os.path.join(reference, "legacy.py")):
        sys.exit(f"{reference}: has no legacy.py; name the folder of your copy of the reference")
    sys.path.insert(0, reference)
    import legacy  # of the reference

    with open(pkl, "rb") as file:
        return legacy.load_network_pkl(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pkl", help="a network file of StyleGAN2-ADA")
    parser.add_argument("--reference", required=True, help="the folder of your copy of the reference")
    parser.add_argument("--out", required=True, help="what the files' names begin with")
    options = parser.parse_args()
    networks = load_networks(options.reference, options.pkl)
    source = os.path.basename(options.pkl)
    for key, convert, ending in (("G_ema", convert_generator, "G"), ("D", convert_discriminator, "D")):
        if networks.get(key) is None:
            print(f"{options.pkl}: holds no {key}; passed over")
            continue
        path = f"{options.out}-{ending}.safetensors"
        convert(networks[key], path, source)
        print(path)


if __name__ == "__main__":
    main()
