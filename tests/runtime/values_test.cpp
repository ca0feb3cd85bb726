// Where values lie: several outputs, writing over inputs, caches that grow, conversions that are kept.
#include <functional>
#include <set>
#include <thread>

#include "tests/runtime/machine.h"
#include "tests/runtime/test_ops.h"
#include "tl/base/fail_point.h"

namespace tl {
namespace {

using Doubles = std::vector<double>;

const std::byte* address(const Tensor& t) {
  return t->value.buffer->data() + t->value.offset * size_of(t.dtype());
}

// Every way to run that may put values elsewhere.
struct Way {
  std::string_view name;
  std::function<Machine()> make;
};
class Values : public testing::TestWithParam<Way> {
 protected:
  Tensor put(const Tensor& x, i64 at, float value) {
    return m.op(op_put_test, {x, m.f32({1}, {value})}, Attrs().with_int(at));
  }
  Tensor exp(const Tensor& x) { return m.op(op_exp, {x}); }
  std::vector<Tensor> divide(const Tensor& x, double by) {
    return must(m.executor->apply_all(op_divide_test, {{x}}, Attrs().with_float(by)));
  }
  // Rows [from, from + count) of a matrix.
  Tensor rows(const Tensor& x, i64 from, i64 count) {
    return m.op(op_index, {x}, Attrs().with_ints({from, count, 1, 0, 0, x.shape()[1], 1, 0}));
  }
  Tensor row(float a, float b) { return m.f32({1, 2}, {a, b}); }
  Tensor append(const Tensor& x, const Tensor& more) { return m.op(op_append_rows, {x, more}); }
  void done(const Tensor& t) { must(m.executor->wait(t)); }
  i64 in_use() const { return m.device->memory().in_use_bytes; }

  Machine m = GetParam().make();
};

// --- several outputs ---

TEST_P(Values, AnOpMayHaveSeveralOutputs) {
  const std::vector<Tensor> out = divide(m.f32({4}, {7, -1, 3.5, 0}), 3);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].dtype(), DType::I32);
  EXPECT_EQ(m.executor->stats().commands, 0u);
  EXPECT_EQ(m.read(out[1]), (Doubles{2, -1, 1, 0}));
  EXPECT_EQ(m.executor->stats().commands, 1u);
  EXPECT_EQ(m.read(out[0]), (Doubles{1, 2, 0.5, 0}));
  EXPECT_EQ(m.executor->stats().commands, 1u) << "all outputs are computed when one is";
}

TEST_P(Values, OutputsNobodyWantsAreDropped) {
  Tensor quotient = divide(m.f32({4}, {7, -1, 3.5, 0}), 3)[1];
  EXPECT_EQ(m.read(quotient), (Doubles{2, -1, 1, 0}));
  Tensor remainder = divide(m.f32({4}, {7, -1, 3.5, 0}), 3)[0];
  EXPECT_EQ(m.read(m.op(op_neg, {remainder})), (Doubles{-1, -2, -0.5, 0}));
  const u64 commands = m.executor->stats().commands;
  (void)divide(m.f32({4}, {1, 2, 3, 4}), 3);
  EXPECT_EQ(m.executor->recorder().pending_count(), 0);
  must(m.executor->flush());
  EXPECT_EQ(m.executor->stats().commands, commands);
}

TEST_P(Values, OutputsAreReadByWhatFollows) {
  Tensor x = m.f32({4}, {100, 200, 300, 400});
  Tensor digits = m.f32({4}, {0, 0, 0, 0});
  for (int i = 0; i < 3; ++i) {  // chains through both outputs, with views and element-wise ops between
    const std::vector<Tensor> out = divide(m.reshape(m.reshape(x, {2, 2}), {4}), 7);
    digits = m.op(op_add, {m.op(op_mul, {digits, scalar_tensor(10.0, DType::F32)}), out[0]});
    x = m.op(op_cast, {out[1]}, Attrs().with_dtype(DType::F32));
  }
  EXPECT_EQ(m.read(digits), (Doubles{202, 404, 606, 111}));
  EXPECT_EQ(m.read(x), (Doubles{0, 0, 0, 1}));
}

TEST_P(Values, AFailureFailsAllOutputs) {
  const Tensor bad = m.op(op_embedding, {m.noise({4, 8}, 1), m.i32({2}, {1, 7})});
  const std::vector<Tensor> out = divide(bad, 3);
  must(m.executor->submit(out));
  for (const Tensor& t : out) {
    const Result<HostTensor> read = m.executor->read(t);
    ASSERT_FALSE(read.ok());
    EXPECT_TRUE(read.error().message.starts_with("embedding: ")) << read.error().message;
  }
}

// --- writing over inputs ---

TEST_P(Values, WhatNobodyElseHoldsIsWrittenOver) {
  Tensor x = m.noise({1000}, 1);
  const Doubles before = m.read(x);
  const std::byte* const at = address(x);
  for (int i = 0; i < 10; ++i) {
    x = put(x, i, 1);
    done(x);
    EXPECT_EQ(address(x), at) << "step " << i << " took other memory";
  }
  for (int i = 10; i < 20; ++i) x = put(x, i, 1);  // and all in one run
  done(x);
  EXPECT_EQ(address(x), at);
  const Doubles after = m.read(x);
  for (size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(after[i], i < 20 ? static_cast<float>(before[i]) + 1.0f : before[i]) << i;
  }
}

TEST_P(Values, WhatSomebodyHoldsIsNot) {
  const Tensor x = m.f32({3}, {1, 2, 3});
  const Tensor a = put(x, 0, 10), b = put(a, 1, 10), c = put(a, 2, 10);
  EXPECT_EQ(m.read(c), (Doubles{11, 2, 13}));
  EXPECT_EQ(m.read(b), (Doubles{11, 12, 3}));
  EXPECT_EQ(m.read(a), (Doubles{11, 2, 3}));
  EXPECT_EQ(m.read(x), (Doubles{1, 2, 3}));
}

TEST_P(Values, AViewOfItHoldsItToo) {
  Tensor x = m.f32({4}, {1, 2, 3, 4});
  const Tensor view = m.reshape(x, {2, 2});
  Tensor y = put(std::exchange(x, {}), 0, 10);  // the view is pending
  EXPECT_EQ(m.read(y), (Doubles{11, 2, 3, 4}));
  EXPECT_EQ(m.read(view), (Doubles{1, 2, 3, 4}));
  const Tensor seen = m.reshape(y, {2, 2});
  done(seen);
  y = put(std::exchange(y, {}), 1, 10);  // the view is there
  EXPECT_EQ(m.read(y), (Doubles{11, 12, 3, 4}));
  EXPECT_EQ(m.read(seen), (Doubles{11, 2, 3, 4}));
}

TEST_P(Values, ReadersBeforeAndAfterSeeTheirValue) {
  for (int round = 0; round < 20; ++round) {  // shuffled orders differ
    Tensor x = m.f32({3}, {1, 2, 3});
    const Tensor before = m.op(op_sum, {x}, Attrs().with_int(0).with_bool(false));
    Tensor y = put(x, 0, 10);
    const Tensor middle = m.op(op_neg, {y}), later = m.op(op_mul, {x, x});
    x = {};
    const Tensor z = put(std::exchange(y, {}), 1, 10);
    must(m.executor->flush());
    EXPECT_EQ(m.read(before), Doubles{6});
    EXPECT_EQ(m.read(middle), (Doubles{-11, -2, -3}));
    EXPECT_EQ(m.read(later), (Doubles{1, 4, 9}));
    EXPECT_EQ(m.read(z), (Doubles{11, 12, 3}));
  }
}

TEST_P(Values, MappedFilesAndConstantsAreNeverWrittenOver) {
  std::vector<float> file{1, 2, 3};
  auto buffer = must(m.device->import_host(std::as_bytes(std::span(file)), nullptr));
  const Tensor y = put(constant({DType::F32, {3}}, {std::move(buffer), contiguous_strides({3}), 0}), 0, 10);
  EXPECT_EQ(m.read(y), (Doubles{11, 2, 3}));
  EXPECT_EQ(file, (std::vector<float>{1, 2, 3}));
}

TEST_P(Values, PartsOfMemoryAreNotTakenOver) {
  const Tensor x = m.f32({2, 2}, {1, 2, 3, 4});
  const Tensor y = put(rows(x, 1, 1), 0, 10);
  EXPECT_EQ(m.read(y), (Doubles{13, 4}));
  EXPECT_EQ(m.read(x), (Doubles{1, 2, 3, 4}));
}

TEST_P(Values, WhatTheRunComputesIsWrittenOverToo) {
  const Tensor x = m.f32({3}, {0, 0, 0});
  Tensor y = put(exp(x), 0, 1);  // nobody holds exp(x)
  const Tensor held = exp(x), z = put(held, 0, 1);
  EXPECT_EQ(m.read(y), (Doubles{2, 1, 1}));
  EXPECT_EQ(m.read(z), (Doubles{2, 1, 1}));
  EXPECT_EQ(m.read(held), (Doubles{1, 1, 1}));
}

// --- growing ---

TEST_P(Values, RowsAreAppendedInPlace) {
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 1000));
  const Tensor empty = cache;
  std::vector<Tensor> versions;
  const std::byte* const at = address(cache);
  for (int i = 0; i < 5; ++i) {
    cache = append(cache, row(float(i), float(-i)));
    versions.push_back(cache);
  }
  done(cache);
  for (const Tensor& v : versions) {
    done(v);
    EXPECT_EQ(address(v), at);
  }
  EXPECT_EQ(m.read(versions[1]), (Doubles{0, 0, 1, -1}));
  EXPECT_EQ(m.read(empty), Doubles{});
  EXPECT_EQ(m.read(cache), (Doubles{0, 0, 1, -1, 2, -2, 3, -3, 4, -4}));
}

TEST_P(Values, RowsAppendedToWhatIsOnItsWayHaveRoom) {
  const Tensor x = m.f32({1, 2}, {1, 2}), more = m.noise({1 << 20, 2}, 3);
  const auto sums = [&](const Tensor& of) {
    return m.op(op_sum, {of}, Attrs().with_ints({0}).with_bool(false));
  };
  // Nobody holds what is between.
  const Tensor grown = sums(append(append(x, row(3, 4)), more));
  EXPECT_EQ(m.read(grown), m.read(sums(m.op(op_concat, {x, row(3, 4), more}, Attrs().with_int(0)))));
}

TEST_P(Values, AForkCopiesOnceAndThenGrowsInPlace) {
  Tensor a = must(m.executor->reserved(DType::F32, {2}, 1000));
  for (int i = 0; i < 4; ++i) a = append(a, row(1, 1));
  done(a);
  const std::byte* const at = address(a);
  Tensor b = a;
  a = append(a, row(2, 2));
  b = append(b, row(3, 3));
  done(a), done(b);
  EXPECT_EQ(address(a), at) << "the first to append goes on in place";
  const std::byte* const fork = address(b);
  EXPECT_NE(fork, at);
  for (int i = 0; i < 3; ++i) {
    a = append(a, row(2, 2)), b = append(b, row(3, 3));
    done(a), done(b);
    EXPECT_EQ(address(a), at);
    EXPECT_EQ(address(b), fork) << "a fork is copied again at append " << i;
  }
  EXPECT_EQ(m.read(a), (Doubles{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(m.read(b), (Doubles{1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3}));
}

TEST_P(Values, ARewoundCacheGrowsInPlace) {
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 1000));
  for (int i = 0; i < 8; ++i) cache = append(cache, row(float(i), 0));
  done(cache);
  const std::byte* const at = address(cache);
  for (int round = 0; round < 20; ++round) {
    cache = rows(cache, 0, 3);
    if (round % 2 == 0) done(cache);
    for (int i = 0; i < 5; ++i) cache = append(cache, row(float(round), 1));
    done(cache);
    EXPECT_EQ(address(cache), at) << "round " << round << " moved the cache";
  }
  EXPECT_EQ(m.read(cache), (Doubles{0, 0, 1, 0, 2, 0, 19, 1, 19, 1, 19, 1, 19, 1, 19, 1}));
}

TEST_P(Values, RewindingSparesWhatIsStillHeld) {
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 1000));
  for (int i = 0; i < 4; ++i) cache = append(cache, row(float(i), 0));
  const Tensor held = cache;
  cache = append(rows(cache, 0, 2), row(9, 9));
  const Tensor last = rows(held, 3, 1);
  EXPECT_EQ(m.read(cache), (Doubles{0, 0, 1, 0, 9, 9}));
  EXPECT_EQ(m.read(held), (Doubles{0, 0, 1, 0, 2, 0, 3, 0}));
  EXPECT_EQ(m.read(last), (Doubles{3, 0}));
}

TEST_P(Values, ReadersOfRewoundRowsComeBefore) {
  for (int round = 0; round < 20; ++round) {
    Tensor cache = must(m.executor->reserved(DType::F32, {2}, 1000));
    for (int i = 0; i < 4; ++i) cache = append(cache, row(float(i), 0));
    done(cache);
    const Tensor old = m.op(op_neg, {cache});
    cache = append(rows(std::exchange(cache, {}), 0, 2), row(9, 9));
    const Tensor fresh = m.op(op_neg, {cache});
    must(m.executor->flush());
    EXPECT_EQ(m.read(old), (Doubles{0, 0, -1, 0, -2, 0, -3, 0}));
    EXPECT_EQ(m.read(fresh), (Doubles{0, 0, -1, 0, -9, -9}));
  }
}

TEST_P(Values, GrowingBeyondTheRoomMovesNowAndThen) {
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 1));
  std::set<BufferId> places;  // by the number of the buffer: an address may come back
  for (int i = 0; i < 2000; ++i) {
    cache = append(cache, row(float(i), 0));
    done(cache);
    places.insert(cache->value.buffer->id());
  }
  EXPECT_LE(places.size(), 14u) << "it moves too often";
  const Doubles all = m.read(cache);
  ASSERT_EQ(all.size(), 4000u);
  for (size_t i = 0; i < 2000; ++i) ASSERT_EQ(all[2 * i], static_cast<double>(i));
}

// A loop that never looks must not copy all rows for each new one.
TEST_P(Values, GrowingUnseenTakesNoMoreMemoryThanGrowingSeen) {
  Tensor cache = m.noise({1, 64}, 1);
  const Tensor more = m.noise({1, 64}, 2);
  const i64 before = m.device->memory().high_water_bytes;
  for (int i = 1; i < 1000; ++i) cache = append(cache, more);
  done(cache);
  EXPECT_EQ(cache.shape()[0], 1000);
  EXPECT_LT(m.device->memory().high_water_bytes - before, 4 << 20);
}

TEST_P(Values, EmptyAppendsAreAppends) {
  Tensor cache = must(m.executor->reserved(DType::F32, {2}, 10));
  cache = append(cache, m.f32({0, 2}, {}));
  cache = append(cache, row(1, 2));
  cache = append(cache, m.f32({0, 2}, {}));
  cache = append(cache, row(3, 4));
  EXPECT_EQ(m.read(cache), (Doubles{1, 2, 3, 4}));
}

INSTANTIATE_TEST_SUITE_P(Ways, Values,
                         testing::Values(Way{"reference", [] { return Machine::reference(); }},
                                         Way{"cpu_1", [] { return Machine::cpu(1); }},
                                         Way{"cpu_4", [] { return Machine::cpu(4); }},
                                         Way{"eager", [] { return Machine::cpu(2, {.eager = true}); }},
                                         Way{"shuffled", [] { return Machine::cpu(2, {.shuffle = 1}); }},
                                         Way{"unfused", [] { return Machine::cpu(2, {.fuse = false}); }},
                                         Way{"batches_of_1",
                                             [] { return Machine::cpu(2, {.commands_per_batch = 1}); }}),
                         [](const auto& info) { return std::string(info.param.name); });

// --- conversions ---

TEST(KeptConversions, AreMadeOnce) {
  Machine m = Machine::cpu(2);
  const Tensor weight = m.noise({256, 128}, 1);  // large enough to be worth keeping
  const Tensor turned = m.op(op_transpose, {weight}, Attrs().with_int(0).with_int(1));
  must(m.executor->wait(turned));
  const auto look = [&] {
    return m.sum_of(
        m.op(op_rms_norm, {turned, m.f32({256}, std::vector<float>(256, 1))}, Attrs().with_float(1e-5)));
  };
  const std::string expected = look();
  EXPECT_EQ(m.executor->stats().kept_conversions, 0u);
  for (u64 i = 0; i < 5; ++i) {
    EXPECT_EQ(look(), expected);
    EXPECT_EQ(m.executor->stats().kept_conversions, i) << "asked for the second time, it is kept";
  }
  const i64 with = KeptConversions::total_bytes();
  EXPECT_GE(with, 256 * 128 * 4);
}

TEST(KeptConversions, ThatFailedAreMadeAgain) {
  Machine m = Machine::cpu(2);
  const Tensor turned = m.op(op_transpose, {m.noise({256, 128}, 1)}, Attrs().with_int(0).with_int(1));
  must(m.executor->wait(turned));
  const Tensor ones = m.f32({256}, std::vector<float>(256, 1));
  const auto look = [&] {
    return m.executor->read(m.op(op_rms_norm, {turned, ones}, Attrs().with_float(1e-5)));
  };
  ASSERT_TRUE(look().ok());
  ASSERT_TRUE(set_fail_points("op:contiguous:1").ok());
  EXPECT_FALSE(look().ok()) << "the one that would be kept";
  ASSERT_TRUE(set_fail_points("").ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(look().ok());
}

TEST(KeptConversions, GoWithTheirTensor) {
  Machine m = Machine::cpu(2);
  const i64 before = KeptConversions::total_bytes();
  {
    const Tensor weight = m.noise({256, 128}, 1);
    const Tensor turned = m.op(op_transpose, {weight}, Attrs().with_int(0).with_int(1));
    for (int i = 0; i < 4; ++i) {
      m.sum_of(
          m.op(op_rms_norm, {turned, m.f32({256}, std::vector<float>(256, 1))}, Attrs().with_float(1e-5)));
    }
    EXPECT_GT(KeptConversions::total_bytes(), before);
  }
  EXPECT_EQ(KeptConversions::total_bytes(), before);
}

TEST(KeptConversions, OfOtherWindowsAreOthers) {
  Machine m = Machine::cpu(2);
  const Tensor weight = m.noise({512, 128}, 1);
  const auto turned_rows = [&](i64 from) {
    const Tensor part = m.op(op_index, {weight}, Attrs().with_ints({from, 256, 1, 0, 0, 128, 1, 0}));
    const Tensor turned = m.op(op_transpose, {part}, Attrs().with_int(0).with_int(1));
    return m.sum_of(
        m.op(op_rms_norm, {turned, m.f32({256}, std::vector<float>(256, 1))}, Attrs().with_float(1e-5)));
  };
  const std::string first = turned_rows(0), second = turned_rows(256);
  EXPECT_NE(first, second);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(turned_rows(0), first);
    EXPECT_EQ(turned_rows(256), second);
  }
  EXPECT_GT(m.executor->stats().kept_conversions, 0u);
}

TEST(KeptConversions, AreOfTheContentThatIsThere) {
  Machine m = Machine::cpu(2);
  Tensor weight = m.noise({256, 128}, 1);
  const auto look = [&](const Tensor& of) {
    const Tensor turned = m.op(op_transpose, {of}, Attrs().with_int(0).with_int(1));
    return m.read(
        m.op(op_rms_norm, {turned, m.f32({256}, std::vector<float>(256, 1))}, Attrs().with_float(1e-5)));
  };
  for (int i = 0; i < 3; ++i) look(weight);
  const std::byte* const at = address(weight);
  weight = m.op(op_put_test, {weight, m.f32({1}, {100})}, Attrs().with_int(0));
  must(m.executor->wait(weight));
  EXPECT_EQ(address(weight), at) << "written over in place";
  const Tensor copy = m.op(op_contiguous, {weight});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(weight), look(copy)) << "a conversion of what was there before";
}

TEST(KeptConversions, OfWhatIsWrittenOverInTheSameRunAreNotTaken) {
  Machine m = Machine::cpu(2);
  Tensor weight = m.noise({256, 128}, 1);
  const Tensor copy = m.op(op_contiguous, {weight}), ones = m.f32({256}, std::vector<float>(256, 1));
  const auto look = [&](const Tensor& of) {
    const Tensor turned = m.op(op_transpose, {of}, Attrs().with_int(0).with_int(1));
    return m.read(m.op(op_rms_norm, {turned, ones}, Attrs().with_float(1e-5)));
  };
  for (int i = 0; i < 3; ++i) look(weight);
  weight = m.op(op_put_test, {weight, m.f32({1}, {100})}, Attrs().with_int(0));
  EXPECT_EQ(look(weight), look(m.op(op_put_test, {copy, m.f32({1}, {100})}, Attrs().with_int(0))));
}

TEST(KeptConversions, OneInputIsConvertedInTwoWays) {
  Machine m = Machine::cpu(2);
  const std::vector<std::byte> zeros(32 * 2 * 34);  // blocks of 32 in 34 bytes
  const Tensor weight = must(m.executor->from_host({DType::Q8_0, {32, 64}}, zeros));
  const Tensor part =
      m.op(op_index, {m.noise({8, 80}, 2)}, Attrs().with_ints({0, 8, 1, 0, 16, 64, 1, 0}));  // rows lie apart
  const Tensor product = m.op(op_linear, {part, weight});
  const Tensor changed = m.op(op_put_test, {part, m.f32({1}, {0})}, Attrs().with_int(0));
  must(m.executor->flush());
  EXPECT_EQ(m.read(product), Doubles(8 * 32, 0));
  EXPECT_EQ(m.read(changed), m.read(part));
}

TEST(KeptConversions, AreSharedByThreads) {
  Machine m = Machine::cpu(2);
  const Tensor weight = m.noise({256, 128}, 1);
  std::vector<std::thread> threads;
  std::vector<std::vector<std::string>> sums(8);
  for (size_t t = 0; t < sums.size(); ++t) {
    threads.emplace_back([&, t] {
      Machine mine;  // an executor of its own on the same device
      mine.executor = must(Executor::create(*m.device, {}));
      for (int i = 0; i < 10; ++i) {
        const Tensor turned = mine.op(op_transpose, {weight}, Attrs().with_int(0).with_int(1));
        sums[t].push_back(mine.sum_of(mine.op(
            op_rms_norm, {turned, mine.f32({256}, std::vector<float>(256, 1))}, Attrs().with_float(1e-5))));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (const auto& list : sums) EXPECT_EQ(list, std::vector<std::string>(10, sums[0][0]));
}

}  // namespace
}  // namespace tl
