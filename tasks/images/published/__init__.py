"""Readers of published image archives; they import neither torch nor Lightning."""

from tasks.images.published import cifar10, cifar100, mnist, stl10

DATA_SETS = (cifar10.DATA_SET, cifar100.DATA_SET, mnist.DATA_SET, stl10.DATA_SET)
