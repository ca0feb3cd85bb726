// The containers of one interpreter, or on their way between two, and those among them that refer to each
// other in cycles: references are counted, so nobody else frees them. They are looked for when containers
// have become many more, so a program that makes none pays nothing.
#pragma once

#include "tl/value/value.h"

namespace tl::lang {

class Heap {
 public:
  Heap() = default;
  ~Heap();  // frees what only cycles hold; the rest belongs to no heap from then on
  Heap(const Heap&) = delete;

  // While it lives, the containers that this thread makes are the heap's.
  class Scope {
   public:
    explicit Scope(Heap& heap) : before_(std::exchange(ContainerRing::current, &heap.ring_)) {}
    ~Scope() { ContainerRing::current = before_; }
    Scope(const Scope&) = delete;

   private:
    ContainerRing* const before_;
  };

  // Takes over all of `other`, which belongs to this thread by now.
  void adopt(Heap& other);
  bool is_due() const { return ring_.count > limit_; }
  // Frees the containers that nothing but such containers refers to. Every value that is in use must be held
  // by a Value.
  void collect();
  i64 count() const { return ring_.count; }

 private:
  ContainerRing ring_;
  i64 limit_ = kFewest;
  static constexpr i64 kFewest = 2000;
};

}  // namespace tl::lang
