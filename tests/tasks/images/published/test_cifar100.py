from tasks.images.published.cifar100 import read_cifar100
from tests.tasks.images.archives import TEST, TRAIN, write_cifar100


def test_fine_labels_are_read(tmp_path):
    write_cifar100(tmp_path)
    train, test = read_cifar100(tmp_path)
    assert train.labels.tolist() == [7 * i % 100 for i in range(TRAIN)]
    assert test.labels.tolist() == [7 * i % 100 for i in range(TEST)]
