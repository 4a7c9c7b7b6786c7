# The sparse Jacobian of a model with columns: its pattern, and memory to fill it.

"""
    Sparsity(T, model)

The pattern of the Jacobian of derivatives and outputs (rows) with respect to states (columns),
found from the equations, with memory for one evaluation in dual numbers `T`.

States of one colour share no row: a derivative along all of them at once holds each of their
slopes in a row of its own (Curtis, Powell and Reid 1974). `square` has the pattern and the diagonal
in as many columns as rows, for solvers that carry the outputs as further states; `places` are those
of the pattern among its numbers. `inner` has the part of the states only, and the diagonal;
`inner_places` are places of `square` that it takes, and `diagonal` where its own diagonal is.
"""
struct Sparsity{T}
    rows::Vector{Int}
    columns::Vector{Int}
    colours::Vector{Int}
    places::Vector{Int}
    square::SparseMatrixCSC{Float64,Int}
    inner::SparseMatrixCSC{Float64,Int}
    inner_from::Vector{Int}
    inner_places::Vector{Int}
    diagonal::Vector{Int}
    y::Vector{T}
    u::Vector{T}
    x::Vector{T}
end

function Sparsity(::Type{T}, model) where {T}
    n, total = model.states, model.states + model.outputs
    some = !isempty(model.colours)
    rows, columns = some ? (model.pattern[1, :], model.pattern[2, :]) : (Int[], Int[])
    size = some ? total : 0
    square = _with_diagonal(rows, columns, size)
    kept = findall(<=(n), rows)
    inner = _with_diagonal(rows[kept], columns[kept], some ? n : 0)
    duals(count) = zeros(T, some ? count : 0)
    return Sparsity{T}(
        rows,
        columns,
        model.colours,
        _places(square, rows, columns),
        square,
        inner,
        _places(square, rows[kept], columns[kept]),
        _places(inner, rows[kept], columns[kept]),
        _places(inner, axes(inner, 1), axes(inner, 1)),
        duals(total),
        duals(total),
        duals(model.forcings),
    )
end

function _with_diagonal(rows, columns, size)
    ones_at(count) = ones(Float64, count)
    diagonal = collect(1:size)
    return sparse([rows; diagonal], [columns; diagonal], ones_at(length(rows) + size), size, size)
end

"Where in the numbers of a sparse matrix each (row, column) is."
function _places(matrix::SparseMatrixCSC, rows, columns)
    return map(rows, columns) do row, column
        range = matrix.colptr[column]:(matrix.colptr[column + 1] - 1)
        return range[searchsortedfirst(view(matrix.rowval, range), row)]
    end
end
