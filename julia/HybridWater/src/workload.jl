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
    "(y, u, x, p, w, c) -> nothing",
    "(us, xs, ps, ws, u, x, p, w, ys, c) -> nothing",
)

function reservoir()
    places = [1 2; 1 1]
    return compile(RESERVOIR, (1, 1, 1, 1, 13, 0, 0), (((2, 3, 1), "tanh", 0),), zeros(13), places)
end

"Solve the reservoir in every way that Python may ask for."
function rehearse(model=reservoir())
    forcing, initial = fill(2.0, 1, 3, 1), fill(5.0, 1, 1)
    inputs = (fill(0.3, 1, 1), fill(0.01, 13), forcing, initial)
    methods = union(keys(TABLEAUX), keys(ADAPTIVE))
    for method in methods, interpolation in ("constant", "pchip"), keep in (true, false)
        keep && !(haskey(TABLEAUX, method) || method === :rodas5p) && continue
        how = (string(method), 2, 1e-6, 1e-6, 1000, interpolation)
        states, fluxes, _, failed, record = attempt(solve, model, inputs..., how, true, 1.0, keep)[2]
        keep && attempt(pull, record, one.(fluxes), one.(states), failed, false)
    end
    answer(effective, [1.0], [0.0])
    let_go()
    states = fill(5.0, 1, 3, 1)
    fluxes = evaluate(model, inputs[1:3]..., states)
    pull_evaluate(model, inputs[1:3]..., states, fluxes)
    return nothing
end

@compile_workload rehearse()
