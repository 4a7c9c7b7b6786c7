# Genetic programming by SymbolicRegression, ended by Ctrl-C as everything else.

module HybridWaterSymbolicRegressionExt

using HybridWater: HybridWater, check_interrupt, interrupted
using PrecompileTools: @compile_workload
using SymbolicRegression: SymbolicRegression, Options, compute_complexity, equation_search
using SymbolicRegression: get_tree
using SymbolicRegression.DimensionalAnalysisModule: WildcardQuantity

"Smallest base of a power, as in the forms of the sparse search."
const DRY = 1e-6

positive(a::Real) = max(a, zero(a))
smaller(a::Real, b::Real) = min(a, b)
power(a::Real, b::Real) = max(a, oftype(a, DRY))^b

# With units: the value is of no matter, as long as it is finite.
positive(a::WildcardQuantity) = a
smaller(a::W, b::W) where {W<:WildcardQuantity} = a + b
power(a::W, b::W) where {W<:WildcardQuantity} = a.violates ? a : one(W)^b

const OPERATORS = Dict{String,Function}(
    "exp" => exp,
    "tanh" => tanh,
    "positive" => positive,
    "+" => +,
    "-" => -,
    "*" => *,
    "/" => /,
    "smaller" => smaller,
    "power" => power,
)

"Units that stand for those of the model, whatever these are."
const UNITS = ("m", "s", "kg", "K", "mol", "A", "cd")

function spell(powers)
    parts = ["$u^($(rationalize(Int, p; tol=1e-3)))" for (u, p) in zip(UNITS, powers) if p != 0]
    return join(parts, "*")
end

function HybridWater.breed(x, y, weights, powers, power_of_y, unary, binary, effort, maxsize, seed)
    populations, members, iterations, kept = effort
    unary_operators = [OPERATORS[o] for o in unary]
    binary_operators = [OPERATORS[o] for o in binary]
    options = Options(;
        unary_operators,
        binary_operators,
        constraints=[power => (-1, 1)],
        nested_constraints=[
            exp => [exp => 0, tanh => 0],
            tanh => [exp => 0, tanh => 0],
            power => [power => 0, exp => 0, tanh => 0],
            positive => [positive => 0],
        ],
        should_simplify=true,
        maxsize,
        populations,
        population_size=members,
        tournament_selection_n=min(10, members - 1),
        seed,
        deterministic=true,
        early_stop_condition=(_, _) -> interrupted(),
        input_stream=devnull,
        save_to_file=false,
        define_helper_functions=false,
    )
    grown, best = equation_search(
        x,
        y;
        weights,
        options,
        niterations=iterations,
        parallelism=:serial,
        runtests=false,
        return_state=true,
        verbosity=0,
        progress=false,
        X_units=[spell(p) for p in eachcol(powers)],
        y_units=spell(power_of_y),
    )
    check_interrupt()
    everyone = [best.members[best.exists]; (m for p in only(grown) for m in p.members)...]
    return tell(everyone, options, kept)
end

"Write down the best expressions of each size."
function tell(members, options, kept)
    tokens, lengths, constants = Int[], Int[], Float64[]
    seen, count = Set{Vector{Int}}(), Dict{Int,Int}()
    for member in sort(members; by=m -> m.loss)
        isfinite(member.loss) || continue
        tree = get_tree(member.tree)
        own, numbers = Int[], Float64[]
        write!(own, numbers, tree, length(options.operators.unaops))
        size = compute_complexity(tree, options)
        (own in seen || get(count, size, 0) >= kept) && continue
        push!(seen, own)
        count[size] = get(count, size, 0) + 1
        append!(tokens, own)
        append!(constants, numbers)
        push!(lengths, length(own))
    end
    return (tokens, lengths, constants)
end

function write!(tokens, constants, node, unary)
    if node.degree == 0 && node.constant
        push!(tokens, 0)
        push!(constants, node.val)
    elseif node.degree == 0
        push!(tokens, node.feature)
    else
        write!(tokens, constants, node.l, unary)
        node.degree == 2 && write!(tokens, constants, node.r, unary)
        push!(tokens, -(node.op + (node.degree == 2 ? unary : 0)))
    end
    return nothing
end

@compile_workload begin
    x = [range(0.1, 2.0, 20)'; range(1.5, 0.3, 20)']
    HybridWater.breed(
        x,
        x[1, :] .* x[2, :],
        ones(20),
        zeros(1, 2),  # units are read by `eval`, which a workload must not
        zeros(1),
        ("exp", "tanh", "positive"),
        ("+", "-", "*", "/", "smaller", "power"),
        (2, 12, 1, 2),
        9,
        0,
    )
end

end
