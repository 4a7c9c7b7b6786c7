# Rates and fluxes at given states, without solving.

"""
    evaluate(model, parameters, weights, forcing, states)

Return the outputs (output, time, batch) at `states` (state, time, batch).
"""
function evaluate(model::Model, parameters, weights, forcing, states)
    n, m = model.states, model.outputs
    fluxes = zeros(m, size(states, 2), size(states, 3))
    w = _columns(weights)
    each_entry(() -> Workspace(model), size(states, 3)) do workspace, b
        used = effective(w[:, _column(w, b)], model.signs)
        p, y, u, x = parameters[:, b], zeros(n + m), zeros(n), zeros(model.forcings)
        for record in axes(states, 2)
            copyto!(u, view(states, :, record, b))
            copyto!(x, view(forcing, :, record, b))
            workspace.rates(y, u, x, p, used)
            fluxes[:, record, b] .= view(y, (n + 1):(n + m))
        end
    end
    return fluxes
end

"""
    pull_evaluate(model, parameters, weights, forcing, states, fluxes_bar)

Return sensitivities to parameters (parameter, batch) and weights from those to the outputs.
"""
function pull_evaluate(model::Model, parameters, weights, forcing, states, fluxes_bar)
    bars = [zero(states); fluxes_bar]
    return _pull_at(model, parameters, weights, forcing, states, bars)[1:2]
end

"""
    linearize(model, parameters, weights, forcing, states)

Return the derivatives (state, batch) at `states` (state, batch) under `forcing` (forcing, batch),
and their slopes (with respect to state, of state, batch).
"""
function linearize(model::Model, parameters, weights, forcing, states)
    n, batch = size(states)
    rates, slopes = zeros(n, batch), zeros(n, n, batch)
    w = _columns(weights)
    options = Options(:none, 1, 1e-6, 1e-6, 1, :constant, true, 1.0)
    each_entry(() -> Workspace(model), batch) do workspace, b
        used = effective(w[:, _column(w, b)], model.signs)
        entry = Entry(workspace, model, options, parameters[:, b], used, forcing[:, b:b])
        at_record!(entry, 1)
        u, y = states[:, b], zeros(n + model.outputs)
        rates!(y, entry, u, 0.0)
        rates[:, b] .= view(y, 1:n)
        J = has_columns(entry) ? copy(entry.functions.sparsity.square) : zeros(length(y), n)
        slopes!(J, entry, u, 0.0)
        slopes[:, :, b] .= transpose(view(Matrix(J), 1:n, 1:n))
    end
    return rates, slopes
end

"""
    pull_linearize(model, parameters, weights, forcing, states, rates_bar)

Return sensitivities to parameters (parameter, batch), weights and forcing (forcing, batch) from those
to the derivatives.
"""
function pull_linearize(model::Model, parameters, weights, forcing, states, rates_bar)
    at(values) = reshape(values, size(values, 1), 1, :)
    bars = [at(rates_bar); zeros(model.outputs, 1, size(states, 2))]
    ps, ws, xs = _pull_at(model, parameters, weights, at(forcing), at(states), bars)
    return ps, ws, xs[:, 1, :]
end

"Sensitivities to parameters, weights and forcing from those to derivatives and outputs."
function _pull_at(model::Model, parameters, weights, forcing, states, bars)
    n, batch = model.states, size(states, 3)
    w = _columns(weights)
    ps, ws, xs = zeros(model.parameters, batch), zeros(model.weights, batch), zero(forcing)
    each_entry(() -> Workspace(model), batch) do workspace, b
        used = effective(w[:, _column(w, b)], model.signs)
        p, u, x, us = parameters[:, b], zeros(n), zeros(model.forcings), zeros(n)
        x_sum, ys = zeros(model.forcings), zeros(size(bars, 1))
        p_sum, w_sum = zeros(model.parameters), zeros(model.weights)
        for record in axes(states, 2)
            copyto!(u, view(states, :, record, b))
            copyto!(x, view(forcing, :, record, b))
            copyto!(ys, view(bars, :, record, b))
            fill!(x_sum, 0.0)
            workspace.pullback(us, x_sum, p_sum, w_sum, u, x, p, used, ys)
            xs[:, record, b] .= x_sum
        end
        ps[:, b] .= p_sum
        ws[:, b] .= pull_effective!(w_sum, view(w, :, _column(w, b)), model.signs)
    end
    return ps, size(w, 2) == 1 ? sum(ws; dims=2) : ws, xs
end
