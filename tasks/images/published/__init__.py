"""Readers of published image archives; they import neither torch nor Lightning."""

from tasks.images.published import cifar10, cifar100, mnist, pathfinder, stl10

DATA_SETS = (
    *(module.DATA_SET for module in (cifar10, cifar100, mnist, stl10)),
    *pathfinder.DATA_SETS_BY_SIDE.values(),
)
