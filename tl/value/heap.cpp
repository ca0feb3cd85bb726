#include "tl/value/heap.h"

#include <algorithm>

namespace tl::lang {
namespace {

Container* container_of(const Value& v) {
  if (!v.is_object()) return nullptr;
  switch (v.object()->kind) {
    case ObjectKind::List:
    case ObjectKind::Tuple:
    case ObjectKind::Struct:
    case ObjectKind::Function:
    case ObjectKind::Cell:
    case ObjectKind::Task:
    case ObjectKind::Map:
    case ObjectKind::Set:
      return static_cast<Container*>(v.object());
    default:
      return nullptr;
  }
}

template <typename F>
void each_container(const ContainerRing& ring, F f) {
  for (ContainerLink* at = ring.next; at != &ring; at = at->next) f(*static_cast<Container*>(at));
}

}  // namespace

Heap::~Heap() {
  collect();
  while (ring_.next != &ring_) {
    ContainerLink* const one = ring_.next;
    ring_.next = one->next, one->next->previous = &ring_;
    one->previous = one->next = one;
  }
}

void Heap::adopt(Heap& other) {
  if (other.ring_.next == &other.ring_) return;
  ContainerLink *first = other.ring_.next, *last = other.ring_.previous;
  last->next = ring_.next, ring_.next->previous = last;
  ring_.next = first, first->previous = &ring_;
  other.ring_.next = other.ring_.previous = &other.ring_;
  ring_.count += std::exchange(other.ring_.count, 0);
}

// A container is in use if somebody outside of all containers refers to it, or a container that is in use
// does. References from outside are those that remain of its count without those from inside.
void Heap::collect() {
  i64 looks = 0;  // at what is in use
  each_container(ring_, [](Container& c) { c.outside = c.references; });
  each_container(ring_, [&](Container& c) {
    for (const Value& item : c.items_inside()) {
      Container* const inside = container_of(item);
      if (inside != nullptr && inside->outside != Container::kNotLookedAt) --inside->outside;
    }
  });
  std::vector<Container*> open;
  i64 left = 0;
  const auto use = [&](Container& c) {
    ++left;
    c.outside = Container::kNotLookedAt;
    open.push_back(&c);
  };
  each_container(ring_, [&](Container& root) {
    if (root.outside == 0 || root.outside == Container::kNotLookedAt) return;
    use(root);
    while (!open.empty()) {
      Container& c = *open.back();
      open.pop_back();
      looks += 1 + static_cast<i64>(c.items_inside().size());
      for (const Value& item : c.items_inside()) {
        Container* const inside = container_of(item);
        if (inside != nullptr && inside->outside != Container::kNotLookedAt) use(*inside);
      }
    }
  });
  std::vector<Value>
      unused;  // held until all are empty: none is freed while another's items are being let go
  each_container(ring_, [&](Container& c) {
    if (c.outside != Container::kNotLookedAt) unused.emplace_back(&c);
  });
  for (const Value& v : unused) {
    // Which of a cycle goes first nobody can say, so none of them is asked to.
    if (auto* s = v.get_if<Struct>()) s->is_dropped = true;
    for (Value& item : container_of(v)->items_inside()) item.clear();
  }
  unused.clear();
  ring_.count = left;
  limit_ = left + std::max(kFewest, looks);  // looking costs little beside making so many
}

}  // namespace tl::lang
