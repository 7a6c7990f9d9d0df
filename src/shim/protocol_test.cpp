#include "shim/protocol.hpp"

#include <gtest/gtest.h>

namespace coffer::shim {
namespace {

TEST(Protocol, a_start_request_comes_back_whole) {
    Start start;
    start.id = "c1";
    start.lower_dirs = {"/a", "/b"};
    start.log.path = "/log";
    start.log.max_size = -1;
    start.has_netns = true;
    start.clients = {
        {.use_stdin = true, .detach_keys = "ctrl-a", .early = std::string("\0\xff", 2)}};
    const auto back = decode_request(encode(Envelope{7, start}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->seq, 7U);
    const auto* got = std::get_if<Start>(&back->request);
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->lower_dirs, start.lower_dirs);
    EXPECT_EQ(got->log.max_size, -1);
    EXPECT_TRUE(got->has_netns);
    EXPECT_FALSE(got->has_userns);
    ASSERT_EQ(got->clients.size(), 1U);
    EXPECT_EQ(got->clients[0].early, start.clients[0].early) << "any bytes";
    EXPECT_TRUE(got->clients[0].use_stdin);
}

TEST(Protocol, every_request_keeps_its_kind) {
    const std::vector<Request> requests = {Start{},  Attach{}, Exec{},      Resize{}, Signal{},
                                           Forget{}, Probe{},  LogLimits{}, Mounts{}};
    for (const Request& request : requests) {
        const auto back = decode_request(encode(Envelope{1, request}));
        ASSERT_TRUE(back);
        EXPECT_EQ(back->request.index(), request.index());
    }
}

TEST(Protocol, an_exec_may_have_no_client) {
    const auto back = decode_request(encode(Envelope{1, Exec{.exec_id = "e"}}));
    ASSERT_TRUE(back);
    EXPECT_FALSE(std::get<Exec>(back->request).client);
}

TEST(Protocol, hello_carries_the_state) {
    Hello hello;
    hello.state = State::Exited;
    hello.exit = ExitRecord{137, 9, true, 1, "2026-01-01T00:00:00Z"};
    hello.execs = {{"e1", 12}};
    const auto back = decode_from_shim(encode(FromShim{hello}));
    ASSERT_TRUE(back);
    const auto& got = std::get<Hello>(*back);
    EXPECT_EQ(got.state, State::Exited);
    ASSERT_TRUE(got.exit);
    EXPECT_EQ(got.exit->signal, 9);
    EXPECT_EQ(got.execs.at(0).pid, 12);
    EXPECT_FALSE(std::get<Hello>(*decode_from_shim(encode(FromShim{Hello{}}))).exit);
}

TEST(Protocol, garbage_is_an_error) {
    for (const char* text : {"", "{}", "[]", "{\"seq\":1}", "{\"seq\":1,\"nonsense\":{}}",
                             "{\"seq\":1,\"resize\":{\"rows\":70000}}",
                             "{\"attach\":{\"client\":{\"early\":\"%%%\"}}}"}) {
        EXPECT_FALSE(decode_request(text)) << text;
        EXPECT_FALSE(decode_from_shim(text)) << text;
    }
    EXPECT_FALSE(decode_from_shim("{\"hello\":{\"state\":\"odd\"}}"));
}

}  // namespace
}  // namespace coffer::shim
