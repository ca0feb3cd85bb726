#include "tl/ops/rope/rope.h"

#include <cmath>

#include "tl/ops/batch/rules.h"
#include "tl/ops/ops.h"
#include "tl/ops/reduce/strided_index.h"

namespace tl {

i64 rope_units(const KernelCall& call) {
  const Dims& d = call.in[0].dims;
  i64 units = 1;
  for (int i = 0; i < d.size() - 2; ++i) units *= d[i];
  return d[d.size() - 1] * d[d.size() - 2] == 0 ? 0 : units;
}
double rope_unit_cost(const KernelCall& call) {
  const Dims& d = call.in[0].dims;
  return 100 + 4 * static_cast<double>(d.back()) + 0.5 * static_cast<double>(d.back() * d[d.size() - 2]);
}

static Result<void> check_rows(const TensorType& x) {
  if (!is_float(x.dtype)) return fail(Code::BadProgram, "x is {}, want a float tensor", name_of(x.dtype));
  if (x.rank() < 3)
    return fail(Code::BadProgram, "x is {}, want [..., positions, heads, dims]", to_string(x.shape));
  if (x.shape.back() % 2 != 0 && x.shape.back() != kUnknownDim) {
    return fail(Code::BadProgram, "rows of {} have no pairs to rotate ({})", x.shape.back(),
                to_string(x.shape));
  }
  return {};
}

static Result<void> check_pairing(const Attrs& attrs) {
  if (attrs.text() == "adjacent" || is_half(attrs.text())) return {};
  return fail(Code::BadProgram, "pairing is \"{}\", want \"adjacent\" or \"half\"", attrs.text());
}

static Result<void> check_positions(const TensorType& x, const TensorType& positions) {
  if (!is_int(positions.dtype)) {
    return fail(Code::BadProgram, "positions are {}, want whole numbers", name_of(positions.dtype));
  }
  if (!positions.rank_known) return {};
  Shape lead = x.shape;
  lead.resize(lead.size() - 2);
  const std::optional<Shape> both = broadcast(positions.shape, lead);
  bool fits = both && both->size() == lead.size();
  for (int i = 0; fits && i < lead.size(); ++i) fits = same_dim((*both)[i], lead[i]);
  if (fits) return {};
  return fail(Code::BadProgram, "positions of {} do not fit x of {}", to_string(positions.shape),
              to_string(x.shape));
}

static Result<TensorType> infer_rope(const InferContext& c) {
  const TensorType& x = c.input(0);
  TL_TRY_DO(check_rows(x));
  TL_TRY_DO(check_pairing(c.attrs()));
  TL_TRY_DO(check_positions(x, c.input(1)));
  const RopeAttrs a(c.attrs());
  const i64 row = x.shape.back();
  if (a.dims < 0 || a.dims % 2 != 0 || (row != kUnknownDim && a.dims > row)) {
    return fail(Code::BadProgram, "dims is {}, want an even number up to {}", a.dims, row);
  }
  if (!(a.base > 0)) return fail(Code::BadProgram, "base is {}, want more than 0", a.base);
  if (!(a.scale > 0)) return fail(Code::BadProgram, "scale is {}, want more than 0", a.scale);
  if (c.count() > 2 && c.input(2).rank_known) {
    const Shape& f = c.shape(2);
    if (!is_float(c.input(2).dtype) || f.size() != 1 ||
        (row != kUnknownDim && !same_dim(f[0], a.pairs(row)))) {
      return fail(Code::BadProgram, "factors are {}, want one float for each of {} pairs",
                  to_string(c.input(2)), row == kUnknownDim ? "?" : fmt::format("{}", a.pairs(row)));
    }
  }
  return x;
}

static Result<TensorType> infer_rope_tables(const InferContext& c) {
  const TensorType& x = c.input(0);
  TL_TRY_DO(check_rows(x));
  TL_TRY_DO(check_pairing(c.attrs()));
  const i64 seq = x.shape[x.rank() - 3], row = x.shape.back();
  for (int i = 1; i <= 2; ++i) {
    const TensorType& t = c.input(i);
    if (!is_float(t.dtype))
      return fail(Code::BadProgram, "a table is {}, want a float tensor", name_of(t.dtype));
    if (!t.rank_known) continue;
    const bool fits = t.rank() == 2 && same_dim(t.shape[1], row) &&
                      (t.shape[0] == kUnknownDim || seq == kUnknownDim || t.shape[0] >= seq);
    if (!fits) {
      return fail(Code::BadProgram, "a table of {} does not fit x of {}, want [positions, dims]",
                  to_string(t.shape), to_string(x.shape));
    }
  }
  return x;
}

static Result<TensorType> infer_table(const InferContext& c) {
  const i64 dims = c.attrs().int_at(0), length = c.attrs().int_at(1);
  if (dims < 0 || dims % 2 != 0)
    return fail(Code::BadProgram, "{} dims have no pairs, want an even number", dims);
  if (length < 0) return fail(Code::BadProgram, "{} positions, want 0 or more", length);
  if (!(c.attrs().float_at(2) > 0))
    return fail(Code::BadProgram, "base is {}, want more than 0", c.attrs().float_at(2));
  if (!is_float(c.attrs().dtype_at(3))) {
    return fail(Code::BadProgram, "found {}, want a float type", name_of(c.attrs().dtype_at(3)));
  }
  return TensorType{c.attrs().dtype_at(3), {length, dims}};
}

static Result<TensorType> infer_encoding(const InferContext& c) {
  const i64 length = c.attrs().int_at(0), dims = c.attrs().int_at(1);
  if (length < 0 || dims < 0)
    return fail(Code::BadProgram, "found [{}, {}], want sizes of 0 or more", length, dims);
  if (!is_float(c.attrs().dtype_at(2))) {
    return fail(Code::BadProgram, "found {}, want a float type", name_of(c.attrs().dtype_at(2)));
  }
  return TensorType{c.attrs().dtype_at(2), {length, dims}};
}

RopeRows::RopeRows(const Operand& x, const Operand* positions) : positions_(positions), lead_(x.dims) {
  lead_.resize(lead_.size() - 2);
  if (positions != nullptr && positions->rank() > 0) {
    position_strides_ = broadcast_strides(positions->dims, positions->strides, lead_);
  }
}

i64 RopeRows::position(i64 unit) const {
  if (positions_ == nullptr) return unit % lead_.back();
  const Operand& p = *positions_;
  if (p.rank() == 0) return load_as_int(p.dtype, p.address(), 0) + unit % lead_.back();
  return load_as_int(p.dtype, p.address(), strided_offset(unit, lead_, position_strides_));
}

double rope_frequency(const KernelCall& call, const RopeAttrs& attrs, i64 i, i64 pairs) {
  const double frequency = std::pow(attrs.base, -static_cast<double>(i) / static_cast<double>(pairs));
  if (call.in.size() < 3) return frequency;
  const Operand& factors = call.in[2];
  return frequency / load_as_double(factors.dtype, factors.address(), i * factors.strides[0]);
}

namespace ref {

static double load(const Operand& x, i64 offset) {
  return load_as_double(x.dtype, x.address(), offset);
}

// y of one row; angle(i) and table lookups differ, so cosine and sine of pair i come from `turn`.
template <typename Turn>
static void rotate_row(const KernelCall& call, i64 from, i64 to, i64 pairs, RopePairing pairing,
                       Turn&& turn) {
  const Operand &x = call.in[0], &y = call.out;
  const i64 d = x.dims.back(), sx = x.strides.back();
  for (i64 i = 0; i < pairs; ++i) {
    const i64 a = pairing == RopePairing::Half ? i : 2 * i,
              b = pairing == RopePairing::Half ? i + pairs : 2 * i + 1;
    const auto [c, s] = turn(i, a);
    const double xa = load(x, from + a * sx), xb = load(x, from + b * sx);
    store_from_double(y.dtype, y.data, to + a, xa * c - xb * s);
    store_from_double(y.dtype, y.data, to + b, xa * s + xb * c);
  }
  for (i64 i = 2 * pairs; i < d; ++i) store_from_double(y.dtype, y.data, to + i, load(x, from + i * sx));
}

void rope(KernelCall& call) {
  const RopeAttrs attrs(*call.attrs);
  const RopeRows rows(call.in[0], &call.in[1]);
  const Operand& x = call.in[0];
  const i64 d = x.dims.back(), heads = x.dims[x.rank() - 2], pairs = attrs.pairs(d);
  for (i64 u = call.begin; u < call.end; ++u) {
    const double position = static_cast<double>(rows.position(u)) * attrs.scale;
    for (i64 h = 0; h < heads; ++h) {
      const i64 from = rows.offset(x, u, h), to = (u * heads + h) * d;
      rotate_row(call, from, to, pairs, attrs.pairing, [&](i64 i, i64) {
        const double angle = position * rope_frequency(call, attrs, i, pairs);
        return std::pair(std::cos(angle), std::sin(angle));
      });
    }
  }
}

void rope_tables(KernelCall& call) {
  const RopePairing pairing = is_half(call.attrs->text()) ? RopePairing::Half : RopePairing::Adjacent;
  const RopeRows rows(call.in[0], nullptr);
  const Operand &x = call.in[0], &cosines = call.in[1], &sines = call.in[2];
  const i64 d = x.dims.back(), heads = x.dims[x.rank() - 2];
  for (i64 u = call.begin; u < call.end; ++u) {
    const i64 position = rows.position(u);
    for (i64 h = 0; h < heads; ++h) {
      rotate_row(call, rows.offset(x, u, h), (u * heads + h) * d, d / 2, pairing, [&](i64, i64 column) {
        return std::pair(load(cosines, position * cosines.strides[0] + column * cosines.strides[1]),
                         load(sines, position * sines.strides[0] + column * sines.strides[1]));
      });
    }
  }
}

template <typename F>
static void fill_table(KernelCall& call, F&& value) {
  const i64 dims = call.out.dims[1];
  for (i64 i = call.begin; i < call.end; ++i) {
    store_from_double(call.out.dtype, call.out.data, i, value(static_cast<double>(i / dims), i % dims, dims));
  }
}

static double table_angle(const Attrs& attrs, double position, i64 column, i64 dims) {
  return position *
         std::pow(attrs.float_at(2), -static_cast<double>(column / 2 * 2) / static_cast<double>(dims));
}

void precompute_rope_cos(KernelCall& call) {
  fill_table(call, [&](double p, i64 column, i64 dims) {
    return std::cos(table_angle(*call.attrs, p, column, dims));
  });
}

void precompute_rope_sin(KernelCall& call) {
  fill_table(call, [&](double p, i64 column, i64 dims) {
    return std::sin(table_angle(*call.attrs, p, column, dims));
  });
}

void positional_encoding(KernelCall& call) {
  fill_table(call, [](double p, i64 column, i64 dims) {
    const double angle = p * std::pow(10000.0, -static_cast<double>(column) / static_cast<double>(dims));
    return column % 2 == 0 ? std::sin(angle) : std::cos(angle);
  });
}

}  // namespace ref

// Made once per program: the oracle's loops serve the CPU too.
static double table_cost(const KernelCall&) {
  return 60;
}

const OpDef op_rope = {
    .name = "rope",
    .signature =
        "(x: tensor, positions: tensor, base: float = 10000.0, dims: int = 0, scale: float = 1.0, "
        "pairing: string = \"adjacent\") -> tensor",
    .doc =
        "Rotates the pairs of x [..., positions, heads, dims] by position * scale * base^(-2i/dims); a "
        "single position "
        "is that of the first row.",
    .example =
        "rope([[[1.0, 0.0]], [[1.0, 0.0]]], 0)  //~ [[[1.0000 0.0000]] [[0.5403 0.8415]]] shape=[2, 1, 2] "
        "float32",
    .infer = infer_rope,
    .batch = batch::rope,
    .layout = Layout::Rows,
    .reference = {ref::rope, rope_units, rope_unit_cost},
    .cpu = {cpu::rope, rope_units, rope_unit_cost},
};

const OpDef op_rope_with_factors = {
    .name = "rope_with_factors",
    .signature =
        "(x: tensor, positions: tensor, factors: tensor, base: float = 10000.0, dims: int = 0, "
        "scale: float = 1.0, pairing: string = \"adjacent\") -> tensor",
    .doc = "rope with the frequency of each pair divided by its factor, as Llama 3.1 stores them.",
    .example = "rope_with_factors([[[1.0, 0.0]]], 2, [2.0])  //~ [[[0.5403 0.8415]]] shape=[1, 1, 2] float32",
    .infer = infer_rope,
    .batch = batch::rope,
    .layout = Layout::Rows,
    .reference = {ref::rope, rope_units, rope_unit_cost},
    .cpu = {cpu::rope, rope_units, rope_unit_cost},
};

const OpDef op_rope_tables = {
    .name = "rope_tables",
    .signature = "(x: tensor, cos: tensor, sin: tensor, pairing: string = \"adjacent\") -> tensor",
    .doc =
        "rope of positions 0, 1, … by tables [positions, dims] as precompute_rope_cos and "
        "precompute_rope_sin make them.",
    .example =
        "rope_tables([[[1.0, 0.0]]], [[0.0, 0.0]], [[1.0, 1.0]])  //~ [[[0.0000 1.0000]]] shape=[1, 1, 2] "
        "float32",
    .infer = infer_rope_tables,
    .batch = batch::leading<0>,
    .layout = Layout::Rows,
    .reference = {ref::rope_tables, rope_units, rope_unit_cost},
    .cpu = {cpu::rope_tables, rope_units, rope_unit_cost},
};

const OpDef op_precompute_rope_cos = {
    .name = "precompute_rope_cos",
    .signature = "(dims: int, length: int, base: float = 10000.0, dtype: dtype = float32) -> tensor",
    .doc = "Cosines of rope's angles, [length, dims], each pair's number twice.",
    .example = "precompute_rope_cos(2, 2)  //~ [[1.0000 1.0000] [0.5403 0.5403]] shape=[2, 2] float32",
    .infer = infer_table,
    .batch = batch::kNoInputs,
    .reference = {ref::precompute_rope_cos, nullptr, table_cost},
    .cpu = {ref::precompute_rope_cos, nullptr, table_cost},
};

const OpDef op_precompute_rope_sin = {
    .name = "precompute_rope_sin",
    .signature = "(dims: int, length: int, base: float = 10000.0, dtype: dtype = float32) -> tensor",
    .doc = "Sines of rope's angles, [length, dims], each pair's number twice.",
    .example = "precompute_rope_sin(2, 2)  //~ [[0.0000 0.0000] [0.8415 0.8415]] shape=[2, 2] float32",
    .infer = infer_table,
    .batch = batch::kNoInputs,
    .reference = {ref::precompute_rope_sin, nullptr, table_cost},
    .cpu = {ref::precompute_rope_sin, nullptr, table_cost},
};

const OpDef op_positional_encoding = {
    .name = "positional_encoding",
    .signature = "(length: int, dims: int, dtype: dtype = float32) -> tensor",
    .doc = "[length, dims] of sin(p / 10000^(i/dims)) in even columns i and the cosine in odd ones.",
    .example = "positional_encoding(1, 2)  //~ [[0.0000 1.0000]] shape=[1, 2] float32",
    .infer = infer_encoding,
    .batch = batch::kNoInputs,
    .reference = {ref::positional_encoding, nullptr, table_cost},
    .cpu = {ref::positional_encoding, nullptr, table_cost},
};

}  // namespace tl
