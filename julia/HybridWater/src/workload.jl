# What is compiled when the package is: all solvers, so that a first solve waits for its own model
# only.

"Source of a linear reservoir with a network, in the manner of the Python package."
const RESERVOIR = (
    "(y, u, x, p, w, c) -> begin
        v = evaluate!(c[1], w, (u[1], x[1]))
        y[1] = x[1] - p[1] * u[1] - v
        y[2] = p[1] * u[1]
        nothing
    end",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> begin
        evaluate!(c[1], w, (u[1], x[1]))
        (a, b) = backpropagate!(ws, c[1], w, -ys[1])
        us[1] += p[1] * (ys[2] - ys[1]) + a
        xs[1] += ys[1] + b
        ps[1] += u[1] * (ys[2] - ys[1])
        nothing
    end",
    "(J, T, u, x, dx, p, w, c) -> begin
        evaluate!(c[1], w, (u[1], x[1]))
        (a, b) = input_gradient!(c[1], w)
        J[1, 1] = -p[1] - a
        J[2, 1] = p[1]
        T[1] = dx[1] * (1 - b)
        nothing
    end",
    "",
    "",
)

function reservoir()
    places = [1 2; 1 1]
    sizes = (1, 1, 1, 1, 13, 0, 0, 0)
    return compile(RESERVOIR, sizes, (((2, 3, 1), "tanh", 0),), zeros(13), places)
end

"Source of two cells that exchange water, in the same manner: their Jacobian is sparse."
const CELLS = (
    "(y, u, x, p, w, c) -> begin
        m = c[2]
        length(m) < 1 && resize!(m, 1)
        m[1] = p[1] * (u[1] - u[2])
        y[1] = x[1] - m[1]
        y[2] = m[1]
        y[3] = c[1][1] * u[2]
        nothing
    end",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> begin
        bar = ys[2] - ys[1]
        us[1] += p[1] * bar
        us[2] += c[1][1] * ys[3] - p[1] * bar
        xs[1] += ys[1]
        ps[1] += (u[1] - u[2]) * bar
        nothing
    end",
    "",
    "",
    "",
)

function two_cells()
    places = [1 2 1 2 3; 1 1 2 2 2]
    return compile(CELLS, (2, 1, 1, 1, 0, 0, 0, 0), (), Float64[], places, [1, 2], [0.5])
end

"Solve both in every way that Python may ask for."
function rehearse(model=reservoir())
    _rehearse(model, fill(5.0, 1, 1), fill(0.01, 13))
    _rehearse(two_cells(), fill(5.0, 2, 1), Float64[])
    return nothing
end

function _rehearse(model, initial, weights)
    forcing = fill(2.0, 1, 3, 1)
    inputs = (fill(0.3, 1, 1), weights, forcing, initial)
    methods = union(keys(TABLEAUX), keys(ADAPTIVE))
    for method in methods, interpolation in ("constant", "pchip"), keep in (true, false)
        keep && !(haskey(TABLEAUX, method) || method === :rodas5p) && continue
        how = (string(method), 2, 1e-6, 1e-6, 1000, interpolation)
        states, fluxes, _, failed, record, _ = attempt(solve, model, inputs..., how, true, 1.0, keep)[2]
        keep && attempt(pull, record, one.(fluxes), one.(states), failed, false)
    end
    answer(effective, [1.0], [0.0])
    let_go()
    states = fill(5.0, model.states, 3, 1)
    fluxes = evaluate(model, inputs[1:3]..., states)
    pull_evaluate(model, inputs[1:3]..., states, fluxes)
    return nothing
end

@compile_workload rehearse()
