#include "registry/auth.hpp"

#include <gtest/gtest.h>

namespace coffer::registry {
namespace {

TEST(Challenges, bearer_with_quoted_commas) {
    const auto list = parse_challenges(
        R"(Bearer realm="https://auth.example/token",service="reg, one",scope="repository:a/b:pull,push")");
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].scheme, "bearer");
    EXPECT_EQ(list[0].params.at("realm"), "https://auth.example/token");
    EXPECT_EQ(list[0].params.at("service"), "reg, one");
    EXPECT_EQ(list[0].params.at("scope"), "repository:a/b:pull,push");
}

TEST(Challenges, several_in_one_header) {
    const auto list =
        parse_challenges(R"(Negotiate, BASIC Realm="x \"y\"" , Bearer realm=plain,error=e)");
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0].scheme, "negotiate");
    EXPECT_EQ(list[1].scheme, "basic");
    EXPECT_EQ(list[1].params.at("realm"), "x \"y\"");
    EXPECT_EQ(list[2].params.at("error"), "e");
}

TEST(Challenges, broken_text_ends_the_list) {
    EXPECT_TRUE(parse_challenges("").empty());
    EXPECT_TRUE(parse_challenges("=,\"").empty());
    EXPECT_TRUE(parse_challenges(R"(Bearer realm="open)").empty());
    EXPECT_EQ(parse_challenges(R"(Basic realm="a", Bearer realm="open)").size(), 1U);
    EXPECT_TRUE(parse_challenges(std::string(100'000, ',')).empty());
}

TEST(AuthHeader, reads_what_clients_send) {
    // {"username":"u","password":"p:q"} and {"auth":"dTpw"}
    const auto plain =
        decode_auth_header(to_base64(R"({"username":"u","password":"p:q"})", Base64::Url));
    EXPECT_EQ(plain.username, "u");
    EXPECT_EQ(plain.password, "p:q");
    EXPECT_EQ(decode_auth_header(to_base64(R"({"auth":"dTpw"})")).password, "p");
    EXPECT_EQ(decode_auth_header(to_base64(R"({"identitytoken":"t"})")).identity_token, "t");
}

TEST(AuthHeader, what_does_not_decode_is_anonymous) {
    EXPECT_TRUE(decode_auth_header("").empty());
    EXPECT_TRUE(decode_auth_header("e30=").empty());
    EXPECT_TRUE(decode_auth_header("%%%").empty());
    EXPECT_TRUE(decode_auth_header(to_base64("[1,2")).empty());
    EXPECT_TRUE(decode_auth_header(to_base64(R"({"username":5})")).empty());
}

TEST(TokenUrl, keeps_the_query_of_the_realm) {
    Challenge challenge{"bearer", {{"realm", "https://a/t?x=1"}, {"service", "s & t"}}};
    EXPECT_EQ(token_url(challenge, "repository:a/b:pull", {}),
              "https://a/t?x=1&service=s%20%26%20t&scope=repository%3Aa%2Fb%3Apull");
}

TEST(Token, both_names_and_no_line_breaks) {
    EXPECT_EQ(parse_token(R"({"token":"a"})")->text, "a");
    EXPECT_EQ(parse_token(R"({"access_token":"b","expires_in":300})")->expires_in_seconds, 300);
    EXPECT_FALSE(parse_token(R"({"token":""})"));
    EXPECT_FALSE(parse_token(R"({"token":"a\r\nX-Evil: 1"})"));
    EXPECT_FALSE(parse_token("<html>"));
}

}  // namespace
}  // namespace coffer::registry
