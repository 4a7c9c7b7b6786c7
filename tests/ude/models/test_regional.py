from hybridwater import models


def test_water_is_accounted_for_in_three_terms():
    assert models.regional_hybrid().boundary == {
        "precipitation": ("in", 1.0),
        "et": ("out", 1.0),
        "q": ("out", 1.0),
    }


def test_networks_see_the_latent_parameters():
    ude = models.regional_hybrid(latent=3, hidden=(5, 4))
    for network in ude.networks:
        seen = [str(i.expression) for i in network.inputs]
        assert seen[-3:] == ["latent1", "latent2", "latent3"]
        assert network.sizes[1:] == (5, 4, 1)
        assert network.bounds is not None


def test_every_parameter_is_used():
    ude = models.regional_hybrid()
    assert ude.used_parameters == {p.name for p in ude.parameters}
