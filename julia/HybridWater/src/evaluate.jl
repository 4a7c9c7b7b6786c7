# Fluxes at given states, without solving.

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
    n, m, batch = model.states, model.outputs, size(states, 3)
    w = _columns(weights)
    ps, ws = zeros(model.parameters, batch), zeros(model.weights, batch)
    each_entry(() -> Workspace(model), batch) do workspace, b
        used = effective(w[:, _column(w, b)], model.signs)
        p, u, x, us = parameters[:, b], zeros(n), zeros(model.forcings), zeros(n)
        xs, ys = zeros(model.forcings), zeros(n + m)
        p_sum, w_sum = zeros(model.parameters), zeros(model.weights)
        for record in axes(states, 2)
            copyto!(u, view(states, :, record, b))
            copyto!(x, view(forcing, :, record, b))
            copyto!(ys, n + 1, view(fluxes_bar, :, record, b), 1, m)
            workspace.pullback(us, xs, p_sum, w_sum, u, x, p, used, ys)
        end
        ps[:, b] .= p_sum
        ws[:, b] .= pull_effective!(w_sum, view(w, :, _column(w, b)), model.signs)
    end
    return ps, size(w, 2) == 1 ? sum(ws; dims=2) : ws
end
