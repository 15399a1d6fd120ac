# What is no program of this build but must pass with it: the unit tests under sanitizers
# (scripts/test.sh makes that build), and the checks of the sources.
if(NOT TCPSAGA_SANITIZE)
  add_test(NAME unit COMMAND ${PROJECT_SOURCE_DIR}/build/asan/tests/unit/unit_test --gtest_brief=1)
  set_tests_properties(unit PROPERTIES LABELS unit ENVIRONMENT UBSAN_OPTIONS=print_stacktrace=1)
  add_test(NAME lint COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint.sh)
  set_tests_properties(lint PROPERTIES LABELS lint PROCESSORS 2) # it uses all there are
endif()
