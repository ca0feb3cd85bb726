// Memory of the host: copies, mapped files, reserved ranges.
#include "tl/device/host_device.h"

#include <gtest/gtest.h>

#include "tl/base/fail_point.h"
#include "tl/device/loop_device_testing.h"

namespace tl {
namespace {

class Host : public testing::Test {
 protected:
  LoopDevice device;
  const StreamId mine = Timelines::instance().create();
};

TEST_F(Host, CopiesGoToAndFromAnyOffset) {
  const auto buffer = *device.allocate(16, mine);
  const std::vector<std::byte> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
  ASSERT_TRUE(device.upload(*buffer, 5, bytes).ok());
  std::vector<std::byte> back(2);
  ASSERT_TRUE(device.download(*buffer, 6, back).ok());
  EXPECT_EQ(back, (std::vector<std::byte>{std::byte{2}, std::byte{3}}));
}

TEST_F(Host, MappedFilesAreReadWhereTheyLieAndKept) {
  auto file = std::make_shared<std::vector<std::byte>>(100, std::byte{9});
  const std::weak_ptr<std::vector<std::byte>> watched = file;
  auto buffer = *device.import_host(*file, file);
  EXPECT_EQ(buffer->data(), file->data());
  EXPECT_TRUE(buffer->is_read_only);
  EXPECT_EQ(device.memory().in_use_bytes, 0) << "no limit counts a mapped file";
  EXPECT_EQ(device.memory().mapped_bytes, 100);
  file.reset();
  EXPECT_FALSE(watched.expired());
  buffer.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(device.memory().mapped_bytes, 0);
}

TEST_F(Host, AMappedFileStaysUntilItsLastReaderIsDone) {
  auto file = std::make_shared<std::vector<std::byte>>(100, std::byte{9});
  const std::weak_ptr<std::vector<std::byte>> watched = file;
  auto buffer = *device.import_host(*file, file);
  file.reset();
  const Ticket reading{mine, Timelines::instance().reached_value(mine) + 1};
  buffer->note_use(reading);
  buffer.reset();
  EXPECT_FALSE(watched.expired()) << "unmapped under a reader";
  Timelines::instance().advance(mine, reading.value);
  (void)*device.allocate(64, mine);  // looks what has become free
  EXPECT_TRUE(watched.expired());
}

TEST_F(Host, ReservedRangesCostNothingUntilWritten) {
  const i64 bytes = i64{1} << 36;  // more than the machine may have
  const auto buffer = *device.reserve(bytes);
  EXPECT_TRUE(buffer->is_reserved);
  EXPECT_EQ(device.memory().in_use_bytes, 0);
  buffer->data()[bytes - 1] = std::byte{1};
  EXPECT_EQ(buffer->data()[bytes / 2], std::byte{0});
}

TEST_F(Host, AForkHasThePagesOfItsOriginAndCannotWriteToThem) {
  constexpr i64 kPage = 4096;
  const auto origin = *device.reserve(100 * kPage);
  ASSERT_TRUE(device.commit(*origin, 10 * kPage).ok());
  const i64 in_use = device.memory().in_use_bytes;
  const auto fork = *device.fork(*origin, 3 * kPage + 5, 200 * kPage, {});
  EXPECT_EQ(fork->inherited_bytes, 3 * kPage) << "whole pages only";
  EXPECT_EQ(fork->shared_bytes, 3 * kPage);
  EXPECT_EQ(origin->shared_bytes, 3 * kPage + 5);
  EXPECT_EQ(device.memory().in_use_bytes, in_use);
  origin->data()[3 * kPage - 1] = std::byte{7};  // what was submitted before may be written later
  origin->data()[3 * kPage] = std::byte{8};
  EXPECT_EQ(fork->data()[3 * kPage - 1], std::byte{7});
  EXPECT_EQ(fork->data()[3 * kPage], std::byte{0});
  fork->data()[3 * kPage] = std::byte{9};
  EXPECT_EQ(origin->data()[3 * kPage], std::byte{8});
  EXPECT_DEATH(fork->data()[0] = std::byte{1}, "");
  const auto whole = *device.fork(*fork, 4 * kPage, 4 * kPage, {});
  EXPECT_EQ(whole->data()[3 * kPage - 1], std::byte{7});
  EXPECT_EQ(whole->data()[3 * kPage], std::byte{9});
}

TEST_F(Host, AddressesThatRunOutAreAnError) {
  const auto too_much = device.reserve(i64{1} << 60);
  ASSERT_FALSE(too_much.ok());
  EXPECT_EQ(too_much.error().code, Code::OutOfMemory);
  ASSERT_TRUE(set_fail_points("map:1").ok());
  const auto refused = device.reserve(4096);
  ASSERT_TRUE(set_fail_points("").ok());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "an address range of 4096 bytes failed on purpose");
  EXPECT_TRUE(device.reserve(4096).ok());
}

}  // namespace
}  // namespace tl
