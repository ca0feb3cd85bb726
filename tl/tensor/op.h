// What an op is: its name, signature, shape rule and kernels on one screen. tl/ops defines them; the
// scheduler and the language know ops through this and nothing else.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tl/base/result.h"
#include "tl/tensor/attrs.h"
#include "tl/tensor/shape.h"

namespace tl {

struct BatchCall;   // tl/tensor/batch.h
struct KernelCall;  // tl/device/kernel.h
struct OpDef;
class Tensor;  // tl/tensor/graph.h
struct View;

// Tensors one op may take, and give.
inline constexpr int kMaxInputs = 6;
inline constexpr int kMaxOutputs = 4;

enum class Backend : u8 { Reference, Cpu, Cuda };

// What shape inference sees. In the checker dims may be kUnknownDim; the helpers below treat them as
// "agrees".
class InferContext {
 public:
  InferContext(std::span<const TensorType> inputs, const Attrs& attrs) : inputs_(inputs), attrs_(attrs) {}
  // Types that lie apart.
  InferContext(std::span<const TensorType* const> apart, const Attrs& attrs) : apart_(apart), attrs_(attrs) {}
  int count() const { return static_cast<int>(apart_.empty() ? inputs_.size() : apart_.size()); }
  const TensorType& input(int i) const {
    const size_t at = static_cast<size_t>(i);
    return apart_.empty() ? inputs_[at] : *apart_[at];
  }
  const Shape& shape(int i) const { return input(i).shape; }
  const Attrs& attrs() const { return attrs_; }

 private:
  std::span<const TensorType> inputs_;
  std::span<const TensorType* const> apart_;
  const Attrs& attrs_;
};

using InferFn = Result<TensorType> (*)(const InferContext&);
using OutputTypes = InlineVector<TensorType, kMaxOutputs>;

// Two dims that must be equal; unknown agrees with anything.
inline bool same_dim(i64 a, i64 b) {
  return a == b || a == kUnknownDim || b == kUnknownDim;
}

// What a kernel wants done to an input first.
struct Conversion {
  const OpDef* op = nullptr;  // null: nothing
  bool keep = false;          // worth keeping from the first time on: it stays with the tensor it was made of
};

// What one command costs, for profiles: arithmetic on elements, and bytes that have to move at least.
struct Cost {
  double flops = 0;
  i64 bytes = 0;
};

// How a kernel's work is split among workers. Units are independent pieces of the output ([begin, end) of
// them is one part); how they are grouped into parts never changes an element's arithmetic.
struct Kernel {
  // Computes units [call.begin, call.end). Null: the backend has no kernel for this op.
  void (*run)(KernelCall& call) = nullptr;
  // Number of units; default: output elements.
  i64 (*units)(const KernelCall& call) = nullptr;
  // Rough cost of one unit in nanoseconds on one core; default: 1. Decides how many parts are worth their
  // overhead.
  double (*unit_cost)(const KernelCall& call) = nullptr;
  // Names the op that must convert input `i` first (a packed format the kernel wants), if any. Decided by
  // element types and ranks: the dims it is shown are unknown, because a plan serves all of them. The planner
  // shares one conversion among all commands that want it.
  Conversion (*prepare)(int i, std::span<const TensorType> inputs) = nullptr;
};

// How an op runs on examples: some of its inputs have one more axis in front, the others serve all examples.
// The rule records ops whose results have that axis, equal to those of one call per example stacked. There is
// no default: an op whose table row has neither a rule nor a reason does not compile.
struct Batching {
  using Rule = Result<std::vector<Tensor>> (*)(const BatchCall&);
  constexpr Batching(Rule r) : rule(r) {}
  // None, because: "it ..." as a message says it.
  constexpr explicit Batching(std::string_view why) : why_not(why) {}

  Rule rule = nullptr;
  std::string_view why_not;
};

// What a kernel needs of its inputs' memory; the planner inserts copies where a view does not comply.
enum class Layout : u8 {
  Any,         // reads through strides (all of a unit's addressing is by strides)
  Rows,        // the last axis has stride 1; other axes by strides
  Contiguous,  // row order without gaps
};

// How the output relates to memory.
enum class OpKind : u8 {
  Kernel,  // computes into memory of its own
  View,    // no memory of its own: `view` maps input 0's layout
  Append,  // input 0 with rows added at the end of axis 0, in place where nobody else holds what lies there
  Output,  // one of the outputs of input 0, an op that has several; its attribute says which
  Elementwise,  // Kernel whose element i depends on the inputs' element i only (after broadcasting): may be
                // fused
};

struct OpDef {
  std::string_view name;
  // "(x: tensor, weight: tensor, eps: float = 1e-5) -> tensor". Parameter types: tensor, int, float, bool,
  // dtype, ints, string; `tensor...` takes the remaining arguments. Tensors become inputs, the others
  // attributes, in this order.
  std::string_view signature;
  std::string_view doc;      // one line
  std::string_view example;  // "softmax([0.0, 0.0])  //~ [0.5000 0.5000] shape=[2] float32"; run by a test
  InferFn infer = nullptr;
  // Ops with several outputs have this instead of `infer`.
  Result<OutputTypes> (*infer_outputs)(const InferContext&) = nullptr;
  Batching batch;  // the rules that many share: tl/ops/batch/rules.h
  OpKind kind = OpKind::Kernel;
  Layout layout = Layout::Contiguous;
  Kernel reference = {};
  Kernel cpu = {};
  // For OpKind::View: strides and offset (in elements) of the result. Empty strides-optional: a copy is
  // needed first.
  bool (*view)(const View& in, const TensorType& out, const Attrs& attrs, View& result) = nullptr;
  // For OpKind::Elementwise: the code the fused interpreter executes (tl/ops/elementwise/scalar_ops.def), or
  // -1.
  int fused_code = -1;
  // Bit i: input i may be quantised blocks. Where it may not, the planner converts the input to float32
  // first.
  u32 quantised_inputs = 0;
  // The kernel may be given the memory of input 0, of the output's own type and layout, as its output
  // (out.data == in[0].data): it then writes only what changes. Done where nobody else needs input 0 any
  // more.
  bool donates = false;
  // Null: no arithmetic (element-wise ops: one operation an element), and every input and output once.
  Cost (*cost)(const KernelCall& call) = nullptr;
  // What a result's size hangs on. 0: on types and attributes alone. Else on data, and nobody waits for it:
  // bit i says that axis 0 of output i is a *capacity*, known without looking, and the op's last output, a
  // 0-d int64, counts the rows that are there. Rows behind the count are zeros. What takes such rows takes
  // their count as a further input (counted_unique), or reads zeros as nothing (sum, any). Where no useful
  // capacity is known (joins) it is an attribute, and the count says how many there would have been.
  u32 counted_outputs = 0;
  // True where infinities for finite inputs are its everyday work (masks, filters, the logarithm of 0):
  // --validate does not stop there. Null: never.
  bool (*makes_infinity)(const KernelCall& call) = nullptr;
  // For ops that stand for several: adds the names of those, in their order. Null: it is one.
  void (*parts)(const Attrs& attrs, std::vector<std::string_view>& names) = nullptr;
  bool is_random = false;    // its last two attributes are a seed and a position, drawn when it is called
  bool is_internal = false;  // not callable from a program (conversions the planner inserts)
};

// The types of all outputs, or why the op refuses. What every caller asks, when recording and when checking:
// quantised blocks that the op does not read itself are shown to it as the float32 that it will get, and no
// result is larger than can be addressed.
Result<OutputTypes> infer_types(const OpDef& op, std::span<const TensorType> inputs, const Attrs& attrs);

// A strided window into a buffer, in elements of the tensor's type.
struct View {
  Shape shape;
  Strides strides;
  i64 offset = 0;
};

}  // namespace tl
