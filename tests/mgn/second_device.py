"""A device for tests beside the CPU. Its numbers lie on the CPU, but it refuses those of the CPU.

Every operation on it goes through `_run`. Scalars and indices may come from the CPU, as on a
graphics card. It lives in a process of its own, since it cannot be taken away again.
"""

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "second"
_setup_privateuseone_for_python_backend(NAME)
# Parameters are replaced when a module moves; a change of their data would go past what is held.
torch.__future__.set_overwrite_module_params_on_conversion(True)

_MAY_MIX = {
    *("aten::_copy_from", "aten::_to_copy", "aten::copy_"),
    *("aten::index", "aten::index_put_", "aten::_index_put_impl_"),
}
_VIEWS = {"aten::view", "aten::_unsafe_view", "aten::_reshape_alias"}
_held = {}  # by storage, which is kept so that its address is not used again


class _Tensor(torch.Tensor):
    @staticmethod
    def __new__(cls, raw):
        made = torch._C._acc.create_empty_tensor(raw.shape, raw.dtype)
        made.__class__ = cls
        return made

    def __init__(self, raw):
        storage = self.untyped_storage()
        _held[storage._cdata] = storage, raw


def _is_there(x):
    return isinstance(x, torch.Tensor) and x.device.type == NAME


def _raw(x):
    return _held[x.untyped_storage()._cdata][1] if _is_there(x) else x


def _hold(x):
    if not isinstance(x, torch.Tensor) or _is_there(x):
        return x
    return _Tensor(x.to_dense() if x.is_sparse else x)


def _run(op, *args, **kwargs):
    name, device = op._schema.name, kwargs.get("device")
    for x in tree_leaves((args, kwargs)):
        strange = isinstance(x, torch.Tensor) and x.ndim and not _is_there(x)
        if strange and name not in _MAY_MIX:
            raise RuntimeError(f"{name}: a tensor of the CPU among those of another device")
    raw, options = tree_map(_raw, args), tree_map(_raw, kwargs)
    if name == "aten::_copy_from":
        raw[1].copy_(raw[0])
        return args[1]
    if device is not None:
        options["device"] = torch.device("cpu")
    if name in _VIEWS:  # what is held may have other strides
        found = torch.reshape(*raw[:2])
    elif name == "aten::as_strided":
        base, size, stride = raw[0].contiguous(), *raw[1:3]
        offset = raw[3] if len(raw) > 3 and raw[3] else 0
        found = base.as_strided(size, stride, offset + base.storage_offset())
    else:
        found = op(*raw, **options)
    if device is not None and torch.device(device).type == "cpu":
        return found
    changed = {id(_raw(x)): x for x in tree_leaves((args, kwargs)) if _is_there(x)}
    return tree_map(lambda x: changed[id(x)] if id(x) in changed else _hold(x), found)


def _convolution(x, weight, bias, *rest):
    return _run(torch.ops.aten.convolution.default, x, weight, bias, *rest)


def _convolution_backward(grad, x, weight, *rest):
    return _run(torch.ops.aten.convolution_backward.default, grad, x, weight, None, *rest)


_anything = torch.library.Library("_", "IMPL")
for key in ("PrivateUse1", "SparsePrivateUse1"):
    _anything.fallback(_run, key)
_some = torch.library.Library("aten", "IMPL")
for part in ("abs", "view", "_unsafe_view", "_reshape_alias"):
    whole = getattr(torch.ops.aten, part).default
    _some.impl(part, lambda *a, op=whole, **k: _run(op, *a, **k), "PrivateUse1")
_some.impl("convolution_overrideable", _convolution, "PrivateUse1")
_some.impl("convolution_backward_overrideable", _convolution_backward, "PrivateUse1")
