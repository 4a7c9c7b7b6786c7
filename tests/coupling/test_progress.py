from reservoirs import start

from hybridwater.coupling import CoupledModel


def test_shows_simulated_time_and_speed(capsys):
    model = CoupledModel({"up": start(start="1990-10-01", inputs={"recharge_flux": 1.0})})
    model.run("400 d", progress=True)
    shown = capsys.readouterr().out
    assert "simulated days per second" in shown
    assert "1991-11-05" in shown
    model.run("5 d", progress=False)
    assert capsys.readouterr().out == ""
