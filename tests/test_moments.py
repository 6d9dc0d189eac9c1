import pytest
import torch

from impasto.moments import blend, moments


def test_statistics_against_numpy_definitions() -> None:
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    found = moments(features)
    for index in range(2):
        flat = features[index].flatten(1)
        assert torch.allclose(found.mean[index], flat.mean(1))
        assert torch.allclose(found.gram[index], flat @ flat.T / 20)
        assert torch.allclose(found.covariance[index], torch.cov(flat, correction=0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_never_reaches_a_gram_matrix(dtype: torch.dtype) -> None:
    # 300^2 x 4096 positions is 5600 times the largest float16.
    features = torch.full((1, 2, 64, 64), 300.0, dtype=dtype)
    found = moments(features)
    assert found.outer.dtype == torch.float32
    assert torch.equal(found.gram, torch.full((1, 2, 2), float(features[0, 0, 0, 0]) ** 2))


def test_double_precision_is_kept() -> None:
    assert moments(torch.rand(1, 2, 3, 3, dtype=torch.float64)).outer.dtype == torch.float64


def test_a_blend_weighs_pictures_not_pixels() -> None:
    small, large = torch.rand(1, 3, 2, 2), torch.rand(1, 3, 20, 30)
    mixed = blend([(moments(small), 0.25), (moments(large), 0.75)])
    assert torch.allclose(mixed.mean, 0.25 * moments(small).mean + 0.75 * moments(large).mean)
    assert torch.allclose(mixed.gram, 0.25 * moments(small).gram + 0.75 * moments(large).gram, atol=1e-6)


def test_a_blend_of_one_style_with_itself_is_that_style() -> None:
    style = moments(torch.rand(1, 3, 6, 7))
    mixed = blend([(style, 0.3), (style, 0.7)])
    assert torch.allclose(mixed.covariance, style.covariance, atol=1e-6)
