import numpy as np
import pytest
import torch
from PIL import Image

from tasks.data.draws import uniform_draws
from tasks.images.augmentation import crop, crop_and_flip, flip, resize, rotate, rotate_crop_and_flip, turn_and_flip
from tests.tasks.images.archives import noise

PIXELS = torch.from_numpy(noise(5, 3, 8, 8))
INDEX = torch.tensor([40, 3, 17, 0, 8])


@pytest.mark.parametrize("padding", [0, 1, 4, 8])
def test_a_crop_is_cut_from_the_image_padded_by_its_mirror(padding):
    shifts = torch.arange(5) % (2 * padding + 1)
    told = crop(PIXELS, top=shifts - padding, left=padding - shifts, side=8)
    for sample, shift in enumerate(shifts.tolist()):
        padded = np.pad(PIXELS[sample], ((0, 0), (padding, padding), (padding, padding)), mode="symmetric")
        left = 2 * padding - shift
        assert np.array_equal(told[sample], padded[:, shift : shift + 8, left : left + 8])


def test_a_crop_of_an_oblong_image_is_the_square_at_its_place():
    pixels = torch.from_numpy(noise(2, 1, 9, 7))
    told = crop(pixels, top=torch.tensor([5, 0]), left=torch.tensor([1, 3]), side=4)
    assert torch.equal(told[0], pixels[0, :, 5:9, 1:5]) and torch.equal(told[1], pixels[1, :, 0:4, 3:7])


def test_only_the_images_named_are_flipped():
    told = flip(PIXELS, torch.tensor([True, False, False, True, False]))
    for sample in (0, 3):
        assert np.array_equal(told[sample], np.fliplr(PIXELS[sample].permute(1, 2, 0)).transpose(2, 0, 1))
    for sample in (1, 2, 4):
        assert torch.equal(told[sample], PIXELS[sample])


def pillow(pixels):
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("side", [16, 17])
def test_a_rotation_is_that_of_pillow(side):
    pixels = torch.from_numpy(noise(4, 3, side, side))
    degrees = torch.tensor([-15.0, 0.0, 7.3, 90.0])
    told = rotate(pixels, degrees)
    for sample, angle in enumerate(degrees.tolist()):
        expected = np.asarray(pillow(pixels[sample]).rotate(angle)).transpose(2, 0, 1)
        # Where the nearest of two pixels is a matter of rounding, the choice is free.
        assert (told[sample].numpy() == expected).mean() > 0.99


def test_resizing_is_that_of_pillow_but_for_its_rounding():
    told = resize(PIXELS, 21)
    for sample in range(len(PIXELS)):
        expected = np.asarray(pillow(PIXELS[sample]).resize((21, 21), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert np.abs(told[sample].numpy() - expected).max() <= 1
    assert torch.equal(resize(PIXELS, 8), PIXELS.float())


def test_cifar_images_are_shifted_by_up_to_four_pixels_and_flipped():
    image = torch.arange(256).to(torch.uint8).reshape(1, 1, 16, 16)
    told = crop_and_flip(image.expand(2000, -1, -1, -1), torch.arange(2000), 0, seed=1)
    padded = np.pad(image[0, 0], 4, mode="symmetric")
    crops = [padded[top : top + 16, left : left + 16] for top in range(9) for left in range(9)]
    possible = {variant.tobytes() for cut in crops for variant in (cut, np.fliplr(cut))}
    found = [sample.numpy().tobytes() for sample in told]
    # Of so many draws nearly all of the 162 variants come up, and half are flipped.
    assert set(found) <= possible and len(set(found)) > 150
    unflipped = {cut.tobytes() for cut in crops}
    assert 0.45 < np.mean([sample in unflipped for sample in found]) < 0.55


def test_stl_images_are_resized_rotated_cropped_and_flipped_like_one_after_the_other():
    pixels = torch.from_numpy(noise(3, 3, 24, 24))
    index = torch.tensor([5, 1, 12])
    told = rotate_crop_and_flip(pixels, index, 2, seed=1, resized=34, side=32)
    for sample, draws in enumerate(uniform_draws(index, num_draws=4, seed=1, epoch=2).tolist()):
        image = rotate(resize(pixels[sample : sample + 1], 34), torch.tensor([30 * draws[0] - 15]))
        top, left = int(draws[1] * 3), int(draws[2] * 3)
        image = image[..., top : top + 32, left : left + 32]
        assert torch.equal(told[sample], (image.flip(-1) if draws[3] < 0.5 else image)[0])


def test_an_image_is_shown_in_the_eight_forms_of_a_square_equally_often():
    image = torch.arange(9).view(1, 1, 3, 3)
    turned = turn_and_flip(image.expand(4000, -1, -1, -1), torch.arange(4000), 0, seed=0)
    forms = {tuple(form.rot90(turns, (-2, -1)).flatten().tolist()) for form in (image, image.mT) for turns in range(4)}
    found, counts = turned.flatten(1).unique(dim=0, return_counts=True)
    assert {tuple(form) for form in found.tolist()} == forms and counts.min() > 400


@pytest.mark.parametrize("augment", [crop_and_flip, rotate_crop_and_flip, turn_and_flip])
def test_a_sample_is_changed_alike_in_whichever_batch_it_comes(augment):
    whole = augment(PIXELS, INDEX, 3, seed=1)
    for rows in ([4, 2], [0], [3, 1]):
        assert torch.equal(augment(PIXELS[rows], INDEX[rows], 3, seed=1), whole[rows])


def test_draws_depend_on_seed_epoch_and_position_and_on_nothing_else():
    index = torch.arange(1000)
    draws = uniform_draws(index, num_draws=3, seed=1, epoch=2)
    torch.manual_seed(7)
    assert torch.equal(uniform_draws(index, num_draws=3, seed=1, epoch=2), draws)
    assert draws.min() >= 0 and draws.max() < 1 and (draws.mean(0) - 0.5).abs().max() < 0.05
    assert len(draws.unique()) == 3000
    for seed, epoch in ((2, 2), (1, 3), (2, 1)):
        other = uniform_draws(index, num_draws=3, seed=seed, epoch=epoch)
        assert abs(np.corrcoef(other.flatten(), draws.flatten())[0, 1]) < 0.1


def test_draws_are_not_those_that_order_the_batches():
    draws = uniform_draws(torch.tensor([0]), num_draws=3, seed=1, epoch=2)[0].tolist()
    assert draws != np.random.default_rng((1, 2)).random(3).tolist()
