// The system calls that Node does not offer, as a module for Node-API: fcntl with record locks, ioctl, mknod, the
// kernel's keyrings. libc.ts names them; what they are called with is known there alone. Only what every glibc has
// since 2.2.5 is used of it, so that the module runs wherever a node does.

#include <errno.h>
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS 6

// A call, and what came of it: its result, or the negative errno, read by the thread that made it before anything else.
struct call {
  long number;
  long argument[ARGUMENTS];
  long result;
  napi_deferred promise;
  napi_async_work work;
};

static void make(struct call *call) {
  const long *a = call->argument;
  long result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
  call->result = result == -1 ? -(long)errno : result;
}

// A number, a BigInt, or the bytes of a typed array, where they lie.
static napi_status read_argument(napi_env env, napi_value value, long *argument) {
  napi_valuetype type;
  napi_status status = napi_typeof(env, value, &type);
  if (status != napi_ok) return status;
  int64_t number = 0;
  if (type == napi_number) {
    status = napi_get_value_int64(env, value, &number);
    *argument = (long)number;
  } else if (type == napi_bigint) {
    // Of those above 2^63 the low 64 bits are taken, as they are meant.
    bool lossless;
    status = napi_get_value_bigint_int64(env, value, &number, &lossless);
    *argument = (long)number;
  } else {
    void *bytes = NULL;
    status = napi_get_typedarray_info(env, value, NULL, NULL, &bytes, NULL, NULL);
    *argument = (long)bytes;
  }
  return status;
}

// The number of the call first, then its arguments. False with an exception pending.
static bool read_call(napi_env env, napi_callback_info info, struct call *call) {
  napi_value values[1 + ARGUMENTS];
  size_t count = 1 + ARGUMENTS;
  long numbers[1 + ARGUMENTS] = {0};
  napi_status status = napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (count > 1 + ARGUMENTS) status = napi_invalid_arg;
  for (size_t index = 0; status == napi_ok && index < count; index += 1) {
    status = read_argument(env, values[index], &numbers[index]);
  }
  if (status != napi_ok) {
    napi_throw_type_error(env, NULL, "a system call takes up to six numbers and typed arrays");
    return false;
  }
  call->number = numbers[0];
  for (size_t index = 0; index < ARGUMENTS; index += 1) call->argument[index] = numbers[1 + index];
  return true;
}

static napi_value number_of(napi_env env, long number) {
  napi_value value = NULL;
  napi_create_int64(env, number, &value);
  return value;
}

// call(number, ...arguments): the result, or the negative errno.
static napi_value call_now(napi_env env, napi_callback_info info) {
  struct call call = {0};
  if (!read_call(env, info, &call)) return NULL;
  make(&call);
  return number_of(env, call.result);
}

static void execute(napi_env env, void *data) {
  (void)env;
  make(data);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct call *call = data;
  napi_value value = number_of(env, status == napi_cancelled ? -(long)ECANCELED : call->result);
  napi_resolve_deferred(env, call->promise, value);
  napi_delete_async_work(env, call->work);
  free(call);
}

// callLater(number, ...arguments): a promise of the same, made on a thread of the pool. Takes numbers alone, for nothing
// keeps the memory of an array where it is meanwhile.
static napi_value call_later(napi_env env, napi_callback_info info) {
  napi_value promise = NULL;
  napi_value name;
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) {
    napi_throw_error(env, "ENOMEM", "no memory for a system call");
    return NULL;
  }
  if (!read_call(env, info, call)) {
    free(call);
    return NULL;
  }
  if (napi_create_promise(env, &call->promise, &promise) != napi_ok ||
      napi_create_string_utf8(env, "system call", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, execute, complete, call, &call->work) != napi_ok ||
      napi_queue_async_work(env, call->work) != napi_ok) {
    napi_throw_error(env, NULL, "a system call cannot be queued");
    free(call);
    return NULL;
  }
  return promise;
}

// address(bytes): where a typed array's first byte lies, as a BigInt.
static napi_value address_of(napi_env env, napi_callback_info info) {
  struct call call = {0};
  napi_value value = NULL;
  if (!read_call(env, info, &call)) return NULL;
  napi_create_bigint_uint64(env, (uint64_t)call.number, &value);
  return value;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"call", call_now}, {"callLater", call_later}, {"address", address_of}};
  for (size_t index = 0; index < sizeof functions / sizeof *functions; index += 1) {
    napi_value function;
    if (napi_create_function(env, NULL, 0, functions[index].function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[index].name, function) != napi_ok) {
      return NULL;
    }
  }
  return exports;
}
