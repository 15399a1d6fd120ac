# What is no program of this build but must pass with it: the unit tests once more under
# sanitizers (scripts/test.sh makes that build), and the checks of the sources.
if(NOT TCPSAGA_SANITIZE)
  add_test(NAME unit_asan COMMAND ${PROJECT_SOURCE_DIR}/build/asan/tests/unit/unit_test --gtest_brief=1)
  set_tests_properties(unit_asan PROPERTIES LABELS unit ENVIRONMENT UBSAN_OPTIONS=print_stacktrace=1)
  # New inputs are tried too, but only the seed is kept: a crash is left in the build folder.
  foreach(target record recording correlator filters)
    add_test(NAME fuzz_${target}
             COMMAND ${PROJECT_SOURCE_DIR}/build/fuzz/tests/fuzz/${target}_fuzz -runs=10000 -seed=1 -max_len=4096
                     -close_fd_mask=3 -artifact_prefix=${PROJECT_BINARY_DIR}/fuzz/
                     ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${target})
    set_tests_properties(fuzz_${target} PROPERTIES LABELS fuzz)
  endforeach()
  add_test(NAME lint COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint.sh)
  set_tests_properties(lint PROPERTIES LABELS lint PROCESSORS 2) # it uses all there are
endif()
