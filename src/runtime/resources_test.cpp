#include "runtime/resources.hpp"

#include <gtest/gtest.h>

namespace coffer::runtime {
namespace {

TEST(Resources, become_limits) {
    oci::LinuxResources resources;
    resources.memory.emplace();
    resources.memory->limit = 1000;
    resources.memory->swap = -1;
    resources.memory->kernel = 0;
    resources.cpu.emplace();
    resources.cpu->shares = 512;
    resources.cpu->cpus = "0-1";
    resources.pids.emplace().limit = 10;
    resources.block_io.emplace().throttle_read_bps_device = {{8, 0, 77}};
    resources.unified["memory.high"] = "5";
    const auto limits = limits_of(resources);
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->memory, 1000);
    EXPECT_EQ(limits->memory_swap, -1);
    EXPECT_EQ(limits->cpu_shares, 512U);
    EXPECT_EQ(limits->cpus, "0-1");
    EXPECT_EQ(limits->pids, 10);
    ASSERT_EQ(limits->read_bps.size(), 1U);
    EXPECT_EQ(limits->read_bps[0].value, 77U);
    EXPECT_EQ(limits->unified.at(0).first, "memory.high");
    EXPECT_TRUE(limits->devices.empty()) << "an update leaves the devices as they are";
}

TEST(Resources, zero_memory_is_not_given) {
    oci::LinuxResources resources;
    resources.memory.emplace().limit = 0;
    EXPECT_FALSE(limits_of(resources).value_or({}).memory);
}

TEST(Resources, what_cannot_be_applied_is_an_error) {
    oci::LinuxResources kernel;
    kernel.memory.emplace().kernel = 5;
    EXPECT_FALSE(limits_of(kernel));
    oci::LinuxResources rdma;
    rdma.rdma["mlx5"] = {};
    EXPECT_FALSE(limits_of(rdma)) << "no limit";
    rdma.rdma["mlx5"].hca_objects = 7;
    const auto limits = limits_of(rdma);
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->rdma.at(0).second, "hca_object=7");
    oci::LinuxResources device;
    device.devices = {{true, "char", 1, 3, "r"}};
    EXPECT_FALSE(limits_of(device));
}

TEST(Resources, a_new_container_starts_without_devices_but_the_harmless_ones) {
    oci::Spec spec;
    spec.linux.emplace().resources.emplace().devices = {{true, "b", 8, -1, "r"}};
    const auto limits = limits_of(spec);
    ASSERT_TRUE(limits);
    ASSERT_GT(limits->devices.size(), 2U);
    EXPECT_FALSE(limits->devices[0].allow);
    EXPECT_EQ(limits->devices[0].type, 'a');
    EXPECT_EQ(limits->devices[1].type, 'b');
    EXPECT_EQ(limits->devices[1].major, 8);
    EXPECT_FALSE(limits->devices[1].minor) << "-1 is any";
}

}  // namespace
}  // namespace coffer::runtime
