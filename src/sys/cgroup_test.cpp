#include "sys/cgroup.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>

#include "sys/cgroup_devices.hpp"
#include "sys/cgroup_plan.hpp"
#include "sys/file.hpp"

namespace coffer::sys::cgroup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

std::vector<std::string> texts(const Result<std::vector<Setting>>& plan) {
    std::vector<std::string> out;
    if (!plan) return {plan.error().message};
    for (const Setting& setting : *plan) {
        out.push_back(setting.choices[0].file + "=" + setting.choices[0].value);
    }
    return out;
}

// A tree of cgroup files under a temporary folder, standing in for a mounted hierarchy.
class Tree {
  public:
    Tree() : dir_(MUST(TempDir::create())) {}
    const std::string& path() const { return dir_.path(); }
    void put(const std::string& name, std::string_view text = {}) const {
        const std::string file = path() + "/" + name;
        MUST(make_dirs(file.substr(0, file.rfind('/'))));
        MUST(write_file(file, text));
    }
    std::string get(const std::string& name) const { return MUST(read_file(path() + "/" + name)); }

  private:
    TempDir dir_;
};

Layout v1_layout(const Tree& tree) {
    Layout layout;
    layout.version = 1;
    layout.v1 = {{{"memory"}, tree.path() + "/memory", "/"},
                 {{"cpu", "cpuacct"}, tree.path() + "/cpu", "/own"}};
    return layout;
}

Layout v2_layout(const Tree& tree) {
    Layout layout;
    layout.version = 2;
    layout.unified = {{"cpu", "memory", "io", "pids"}, tree.path(), "/"};
    return layout;
}

TEST(CgroupLayout, hybrid_machine_uses_version_1) {
    const auto layout = parse_layout(kHybrid, "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n");
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->version, 1);
    ASSERT_EQ(layout->v1.size(), 3U);
    EXPECT_THAT(layout->v1[0].controllers, ElementsAre("cpu", "cpuacct"));
    EXPECT_EQ(layout->v1[1].own_path, "/a/b");
    EXPECT_THAT(layout->v1[2].controllers, ElementsAre("name=systemd"));
    EXPECT_TRUE(layout->has("cpuacct"));
    EXPECT_FALSE(layout->has("pids"));
}

TEST(CgroupLayout, only_a_named_v1_hierarchy_beside_v2_is_version_2) {
    const Tree tree;
    tree.put("v2/cgroup.controllers", "cpu io\n");
    const std::string mounts = format(
        "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        "41 31 0:38 / {}/v2 rw - cgroup2 cgroup2 rw\n",
        tree.path());
    const auto layout = parse_layout(mounts, "0::/x\n");
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->version, 2);
    EXPECT_THAT(layout->unified.controllers, ElementsAre("cpu", "io"));
    EXPECT_EQ(layout->unified.own_path, "/x");
}

TEST(CgroupLayout, own_path_is_told_from_the_root_of_a_bind_mount) {
    const auto layout =
        parse_layout("35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
                     "4:memory:/docker/abc/nested\n");
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->v1.at(0).own_path, "/nested");
}

TEST(CgroupLayout, garbage_gives_no_hierarchy) {
    const auto layout = parse_layout("- cgroup\n\n1 2 3 - x\n - cgroup cgroup rw,memory", "::::");
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->version, 0);
    EXPECT_FALSE(Cgroup::create("/a", {}, *layout));
}

TEST(CgroupPath, must_be_plain) {
    const Tree tree;
    for (const char* path : {"", "/", "/a/../../b", ".."}) {
        EXPECT_FALSE(Cgroup::create(path, {}, v1_layout(tree))) << path;
    }
}

TEST(CgroupPlan, v1_writes_what_was_asked_in_the_order_the_kernel_takes) {
    Limits limits;
    limits.memory = 1 << 20;
    limits.memory_swap = -1;
    limits.cpu_shares = 512;
    limits.cpu_period = 50000;
    limits.cpu_quota = 25000;
    limits.cpus = "0-1";
    limits.pids = 0;
    limits.read_bps = {{8, 16, 1000}};
    limits.devices = {{false, 'a', {}, {}, ""}, {true, 'c', 1, {}, "rw"}};
    EXPECT_THAT(
        texts(plan_v1(limits)),
        ElementsAre("memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=-1",
                    "cpu.shares=512", "cpu.cfs_period_us=50000", "cpu.cfs_quota_us=25000",
                    "cpuset.cpus=0-1", "pids.max=max", "blkio.throttle.read_bps_device=8:16 1000",
                    "devices.deny=a", "devices.allow=c 1:* rw"));
}

TEST(CgroupPlan, v2_converts_scales_and_takes_memory_off_swap) {
    Limits limits;
    limits.memory = 100;
    limits.memory_swap = 150;
    limits.cpu_shares = 1024;
    limits.cpu_quota = 5000;
    limits.cpu_period = 10000;
    limits.blkio_weight = 500;
    limits.write_iops = {{8, 0, 7}};
    limits.unified = {{"memory.high", "90"}};
    EXPECT_THAT(
        texts(plan_v2(limits)),
        ElementsAre("memory.swap.max=50", "memory.max=100", "cpu.weight=39", "cpu.max=5000 10000",
                    "io.bfq.weight=500", "io.max=8:0 wiops=7", "memory.high=90"));
    EXPECT_EQ(cpu_weight_of_shares(2), 1U);
    EXPECT_EQ(cpu_weight_of_shares(262144), 10000U);
    EXPECT_EQ(io_weight_of_blkio(10), 1U);
    EXPECT_EQ(io_weight_of_blkio(1000), 10000U);
}

TEST(CgroupPlan, what_a_version_lacks_is_an_error_that_names_it) {
    Limits swappiness;
    swappiness.memory_swappiness = 10;
    EXPECT_THAT(texts(plan_v2(swappiness))[0], HasSubstr("memory.swappiness to '10'"));
    Limits unified;
    unified.unified = {{"memory.high", "1"}};
    EXPECT_THAT(texts(plan_v1(unified))[0], HasSubstr("memory.high"));
    Limits escaping;
    escaping.unified = {{"../memory.high", "1"}};
    EXPECT_FALSE(plan_v2(escaping));
    Limits swap;
    swap.memory = 100;
    swap.memory_swap = 50;
    EXPECT_FALSE(plan_v2(swap));
    Limits weight;
    weight.blkio_weight = 5;
    EXPECT_FALSE(plan_v1(weight));
}

TEST(CgroupV1, create_makes_a_folder_in_every_hierarchy_and_remove_takes_them_away) {
    const Tree tree;
    tree.put("memory/x");
    tree.put("cpu/own/x");
    auto group = Cgroup::create("/coffer/one", {}, v1_layout(tree));
    ASSERT_TRUE(group);
    EXPECT_TRUE(exists(tree.path() + "/memory/coffer/one"));
    EXPECT_TRUE(exists(tree.path() + "/cpu/coffer/one"));
    EXPECT_TRUE(group->remove());
    EXPECT_FALSE(exists(tree.path() + "/memory/coffer/one"));
    EXPECT_TRUE(group->remove()) << "absent is success";
}

TEST(CgroupV1, a_relative_path_lies_below_our_own_group) {
    const Tree tree;
    auto group = Cgroup::create("one", {}, v1_layout(tree));
    ASSERT_TRUE(group);
    EXPECT_TRUE(exists(tree.path() + "/cpu/own/one"));
}

TEST(CgroupV1, a_limit_without_its_controller_is_an_error_and_nothing_stays) {
    const Tree tree;
    Limits limits;
    limits.pids = 5;
    const auto group = Cgroup::create("/coffer/one", limits, v1_layout(tree));
    ASSERT_FALSE(group);
    EXPECT_THAT(group.error().message, HasSubstr("pids.max to '5': no pids controller"));
    EXPECT_FALSE(exists(tree.path() + "/memory/coffer/one"));
    limits.pids = -1;
    EXPECT_TRUE(Cgroup::create("/coffer/two", limits, v1_layout(tree))) << "nothing to lift";
}

TEST(CgroupV1, a_group_with_processes_is_a_conflict_and_left_alone) {
    const Tree tree;
    tree.put("memory/coffer/one/cgroup.procs", "99999999\n");
    const auto group = Cgroup::create("/coffer/one", {}, v1_layout(tree));
    ASSERT_FALSE(group);
    EXPECT_EQ(group.error().code, Code::Conflict);
    EXPECT_TRUE(exists(tree.path() + "/memory/coffer/one/cgroup.procs"));
}

TEST(CgroupV1, a_thread_enters_every_hierarchy_by_itself) {
    const Tree tree;
    const Layout layout = v1_layout(tree);
    Cgroup group = MUST(Cgroup::create("/coffer/a", {}, layout));
    group.release();
    tree.put("memory/coffer/a/tasks");
    EXPECT_FALSE(group.join_self()) << "one hierarchy refuses";
    tree.put("cpu/coffer/a/tasks");
    MUST(group.join_self());
    EXPECT_EQ(tree.get("memory/coffer/a/tasks"), "0");
    EXPECT_EQ(tree.get("cpu/coffer/a/tasks"), "0");
    EXPECT_FALSE(MUST(group.clone_fd()));
}

TEST(CgroupV1, update_falls_back_to_the_schedulers_name_and_names_a_refused_file) {
    const Tree tree;
    Layout layout = v1_layout(tree);
    layout.v1.push_back({{"blkio"}, tree.path() + "/blkio", "/"});
    tree.put("memory/c/memory.limit_in_bytes");
    tree.put("blkio/c/blkio.bfq.weight");
    const auto group = Cgroup::open("/c", layout);
    ASSERT_TRUE(group);
    Limits limits;
    limits.blkio_weight = 300;
    ASSERT_TRUE(group->update(limits));
    EXPECT_EQ(tree.get("blkio/c/blkio.bfq.weight"), "300");
    limits.cpu_shares = 100;
    const auto refused = group->update(limits);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("cpu.shares to '100'"));
}

TEST(CgroupV1, stats_are_read_from_the_files) {
    const Tree tree;
    Layout layout = v1_layout(tree);
    layout.v1.push_back({{"blkio"}, tree.path() + "/blkio", "/"});
    tree.put("cpu/c/cpuacct.usage", "5000\n");
    tree.put("cpu/c/cpuacct.usage_percpu", "2000 3000 \n");
    tree.put("cpu/c/cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 77\n");
    tree.put("memory/c/memory.usage_in_bytes", "4096\n");
    tree.put("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
    tree.put("memory/c/memory.stat", "cache 1\nrss 2\nbroken\n");
    tree.put("memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    tree.put("blkio/c/blkio.throttle.io_service_bytes_recursive",
             "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n");
    const auto group = Cgroup::open("/c", layout);
    ASSERT_TRUE(group);
    const auto stats = group->stats();
    ASSERT_TRUE(stats);
    EXPECT_EQ(stats->cpu_ns, 5000U);
    EXPECT_THAT(stats->cpu_per_cpu_ns, ElementsAre(2000U, 3000U));
    EXPECT_EQ(stats->throttled_ns, 77U);
    EXPECT_EQ(stats->memory_usage, 4096U);
    EXPECT_EQ(stats->memory_limit, UINT64_MAX);
    EXPECT_EQ(stats->memory_stat.size(), 2U);
    ASSERT_EQ(stats->io_service_bytes.size(), 2U);
    EXPECT_EQ(stats->io_service_bytes[0].op, "Read");
    EXPECT_EQ(group->oom_kills().value_or(0), 3U);
}

TEST(CgroupV1, processes_of_groups_below_are_counted) {
    const Tree tree;
    tree.put("memory/c/cgroup.procs", "11\n12\n");
    tree.put("memory/c/sub/cgroup.procs", "13\n");
    const auto group = Cgroup::open("/c", v1_layout(tree));
    ASSERT_TRUE(group);
    EXPECT_THAT(group->pids().value_or({}), ElementsAre(11, 12, 13));
}

TEST(CgroupPath, containers_may_walk_to_their_group_whatever_our_umask) {
    const Tree tree;
    const mode_t umask = ::umask(0077);
    const auto v1 = Cgroup::create("/coffer/one", {}, v1_layout(tree));
    const auto v2 = Cgroup::create("/coffer/one", {}, v2_layout(tree));
    ::umask(umask);
    ASSERT_TRUE(v1);
    ASSERT_TRUE(v2);
    for (const char* name : {"/coffer", "/coffer/one", "/memory/coffer", "/memory/coffer/one"}) {
        struct stat status {};
        ASSERT_EQ(::stat((tree.path() + name).c_str(), &status), 0) << name;
        EXPECT_EQ(status.st_mode & 0777U, 0755U) << name;
    }
}

TEST(CgroupV2, create_delegates_every_controller_on_the_way_down) {
    const Tree tree;
    tree.put("cgroup.controllers", "cpu memory\n");
    tree.put("cgroup.subtree_control", "");
    tree.put("coffer/cgroup.controllers", "cpu memory\n");
    tree.put("coffer/cgroup.subtree_control", "cpu");
    const auto group = Cgroup::create("/coffer/one", {}, v2_layout(tree));
    ASSERT_TRUE(group);
    EXPECT_EQ(tree.get("cgroup.subtree_control"), "+cpu +memory");
    EXPECT_TRUE(exists(tree.path() + "/coffer/one"));
}

TEST(CgroupV2, limits_are_written_to_their_files_under_the_name_that_is_there) {
    const Tree tree;
    for (const char* file : {"memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight",
                             "cpuset.cpus", "pids.max", "io.weight"}) {
        tree.put(std::string("c/") + file);
    }
    const auto group = Cgroup::open("/c", v2_layout(tree));
    ASSERT_TRUE(group);
    Limits limits;
    limits.memory = 64 << 20;
    limits.memory_swap = 64 << 20;
    limits.memory_reservation = 32 << 20;
    limits.cpu_quota = 50000;
    limits.cpu_period = 100000;
    limits.cpu_shares = 512;
    limits.cpus = "1";
    limits.pids = 33;
    limits.blkio_weight = 300;
    ASSERT_TRUE(group->update(limits));
    EXPECT_EQ(tree.get("c/memory.max"), "67108864");
    EXPECT_EQ(tree.get("c/memory.swap.max"), "0");
    EXPECT_EQ(tree.get("c/memory.low"), "33554432");
    EXPECT_EQ(tree.get("c/cpu.max"), "50000 100000");
    EXPECT_EQ(tree.get("c/cpu.weight"), "20");
    EXPECT_EQ(tree.get("c/cpuset.cpus"), "1");
    EXPECT_EQ(tree.get("c/pids.max"), "33");
    EXPECT_EQ(tree.get("c/io.weight"), "2930") << "without BFQ";
    tree.put("c/io.bfq.weight");
    ASSERT_TRUE(group->update(limits));
    EXPECT_EQ(tree.get("c/io.bfq.weight"), "300");
}

TEST(CgroupV2, a_limit_without_its_controller_is_an_error_and_nothing_stays) {
    const Tree tree;
    Limits limits;
    limits.pids = 5;
    const auto group = Cgroup::create("/coffer/one", limits, v2_layout(tree));
    ASSERT_FALSE(group);
    EXPECT_THAT(group.error().message, HasSubstr("set pids.max to '5'"));
    EXPECT_FALSE(exists(tree.path() + "/coffer/one"));
    limits.pids = -1;
    EXPECT_TRUE(Cgroup::create("/coffer/two", limits, v2_layout(tree))) << "nothing to lift";
}

TEST(CgroupV2, a_group_with_processes_is_a_conflict_and_left_alone) {
    const Tree tree;
    tree.put("coffer/one/cgroup.procs", "99999999\n");
    const auto group = Cgroup::create("/coffer/one", {}, v2_layout(tree));
    ASSERT_FALSE(group);
    EXPECT_EQ(group.error().code, Code::Conflict);
    EXPECT_TRUE(exists(tree.path() + "/coffer/one/cgroup.procs"));
}

TEST(CgroupV2, freezing_and_killing_are_one_write_each) {
    const Tree tree;
    tree.put("c/cgroup.freeze");
    tree.put("c/cgroup.kill");
    const auto group = Cgroup::open("/c", v2_layout(tree));
    ASSERT_TRUE(group);
    tree.put("c/cgroup.events", "populated 1\nfrozen 1\n");
    EXPECT_TRUE(group->freeze());
    EXPECT_EQ(tree.get("c/cgroup.freeze"), "1");
    tree.put("c/cgroup.events", "populated 1\nfrozen 0\n");
    EXPECT_TRUE(group->thaw());
    EXPECT_EQ(tree.get("c/cgroup.freeze"), "0");
    EXPECT_TRUE(group->kill_all());
    EXPECT_EQ(tree.get("c/cgroup.kill"), "1");
}

TEST(CgroupV2, a_process_is_born_into_the_folder_and_an_oom_kill_is_told) {
    const Tree tree;
    tree.put("c/memory.events", "oom_kill 0\n");
    const auto group = Cgroup::open("/c", v2_layout(tree));
    ASSERT_TRUE(group);
    EXPECT_TRUE(MUST(group->clone_fd()));
    const Fd events = MUST(group->oom_events());
    ASSERT_TRUE(events);
    tree.put("c/memory.events", "oom_kill 1\n");
    pollfd told{events.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&told, 1, 10'000), 1);
    EXPECT_EQ(MUST(group->oom_kills()), 1U);
}

TEST(CgroupV2, swap_alone_is_counted_beside_the_memory_limit_in_force) {
    const Tree tree;
    tree.put("c/memory.max", "100");
    tree.put("c/memory.swap.max");
    const auto group = Cgroup::open("/c", v2_layout(tree));
    ASSERT_TRUE(group);
    Limits limits;
    limits.memory_swap = 150;
    ASSERT_TRUE(group->update(limits));
    EXPECT_EQ(tree.get("c/memory.swap.max"), "50");
}

TEST(CgroupV2, stats_are_read_from_the_files) {
    const Tree tree;
    tree.put("c/cpu.stat", "usage_usec 10\nuser_usec 7\nsystem_usec 3\nthrottled_usec 2\n");
    tree.put("c/memory.max", "max\n");
    tree.put("c/memory.current", "4096\n");
    tree.put("c/memory.events", "low 0\nmax 5\noom 1\noom_kill 2\n");
    tree.put("c/pids.current", "3\n");
    tree.put("c/pids.max", "10\n");
    tree.put("c/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\n");
    const auto group = Cgroup::open("/c", v2_layout(tree));
    ASSERT_TRUE(group);
    const auto stats = group->stats();
    ASSERT_TRUE(stats);
    EXPECT_EQ(stats->cpu_ns, 10000U);
    EXPECT_EQ(stats->memory_limit, UINT64_MAX);
    EXPECT_EQ(stats->memory_failures, 5U);
    EXPECT_EQ(stats->pids_limit, 10U);
    ASSERT_EQ(stats->io_serviced.size(), 2U);
    EXPECT_EQ(stats->io_serviced[1].value, 4U);
    EXPECT_EQ(group->oom_kills().value_or(0), 2U);
}

// What the kernel would answer, by running the instructions that the program is made of.
bool allows(const std::vector<DeviceRule>& rules, std::uint32_t type, std::uint32_t access,
            std::uint32_t major, std::uint32_t minor) {
    const std::vector<std::uint64_t> program = device_program(rules);
    std::uint64_t r[11] = {};
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
        const std::uint64_t bits = program[pc];
        const auto code = bits & 0xFF;
        const auto target = (bits >> 8) & 0xF;
        const auto source = (bits >> 12) & 0xF;
        const auto offset = static_cast<std::int16_t>(bits >> 16);
        const auto immediate = static_cast<std::uint64_t>(static_cast<std::int32_t>(bits >> 32));
        const auto jump = [&](bool taken) {
            if (taken) pc += static_cast<std::size_t>(offset);
        };
        switch (code) {
            case 0x61:
                r[target] = offset == 0 ? (access << 16 | type) : offset == 4 ? major : minor;
                break;
            case 0x57:
                r[target] &= immediate;
                break;
            case 0x77:
                r[target] >>= immediate;
                break;
            case 0xB7:
                r[target] = immediate;
                break;
            case 0xBF:
                r[target] = r[source];
                break;
            case 0x55:
                jump(r[target] != immediate);
                break;
            case 0x15:
                jump(r[target] == immediate);
                break;
            case 0x5D:
                jump(r[target] != r[source]);
                break;
            case 0x95:
                return r[0] != 0;
            default:
                ADD_FAILURE() << "instruction " << code;
                return false;
        }
    }
    ADD_FAILURE() << "ran off the end";
    return false;
}

TEST(CgroupDevices, last_matching_rule_decides) {
    constexpr std::uint32_t kBlock = 1, kChar = 2, kMknod = 1, kRead = 2, kWrite = 4;
    const std::vector<DeviceRule> rules = {{false, 'a', {}, {}, ""},
                                           {true, 'c', 1, 3, "rwm"},
                                           {true, 'c', 136, {}, "rw"},
                                           {true, 'b', {}, {}, "m"},
                                           {false, 'c', 1, 3, "w"}};
    EXPECT_TRUE(allows(rules, kChar, kRead, 1, 3));
    EXPECT_FALSE(allows(rules, kChar, kRead | kWrite, 1, 3)) << "the later rule refuses writing";
    EXPECT_TRUE(allows(rules, kChar, kRead | kWrite, 136, 7));
    EXPECT_FALSE(allows(rules, kChar, kMknod, 136, 7));
    EXPECT_TRUE(allows(rules, kBlock, kMknod, 8, 0));
    EXPECT_FALSE(allows(rules, kBlock, kRead, 8, 0));
    EXPECT_FALSE(allows(rules, kChar, kRead, 1, 4));
    EXPECT_FALSE(allows({}, kChar, kRead, 1, 3)) << "no rule, no access";
    EXPECT_TRUE(allows({{true, 'a', {}, {}, ""}}, kBlock, kWrite, 8, 0));
}

}  // namespace
}  // namespace coffer::sys::cgroup
