/*
 * A security key that is a program: what ssh loads as its middleware in the place of one that talks to a device.
 *
 * It keeps nothing: the handle of a key is its seed. It signs once somebody has touched it, which is: has made the file
 * TOUCHED. Built with -DTOUCHED='"path"'.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 32
#define SIGNATURE 64
#define HASH 32
#define GENERAL -1
#define PIN_REQUIRED -3
#define TOUCH_TRIES 600
#define TOUCH_MICROSECONDS 50000
#define ED25519 1087 /* libcrypto's number for it */

/* of libcrypto, whose headers need not be here */
typedef struct evp_pkey_st EVP_PKEY;
EVP_PKEY *EVP_PKEY_new_raw_private_key(int type, void *engine, const unsigned char *key, size_t length);
int EVP_PKEY_get_raw_public_key(const EVP_PKEY *key, unsigned char *to, size_t *length);
void EVP_PKEY_free(EVP_PKEY *key);
void *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(void *context);
int EVP_DigestSignInit(void *context, void **unused, const void *hash, void *engine, EVP_PKEY *key);
int EVP_DigestSign(void *context, unsigned char *to, size_t *length, const unsigned char *data, size_t size);
unsigned char *SHA256(const unsigned char *data, size_t size, unsigned char *to);
int RAND_bytes(unsigned char *to, int count);

struct enrolled {
	uint8_t flags;
	uint8_t *public_key;
	size_t public_key_size;
	uint8_t *handle;
	size_t handle_size;
	uint8_t *signature;
	size_t signature_size;
	uint8_t *certificate;
	size_t certificate_size;
	uint8_t *data;
	size_t data_size;
};

struct signature {
	uint8_t flags;
	uint32_t counter;
	uint8_t *r;
	size_t r_size;
	uint8_t *s;
	size_t s_size;
};

uint32_t sk_api_version(void)
{
	return 0x000a0000;
}

int sk_enroll(uint32_t kind, const uint8_t *challenge, size_t challenge_size, const char *application, uint8_t flags,
	      const char *pin, void **options, struct enrolled **answer)
{
	struct enrolled *made = calloc(1, sizeof *made);
	EVP_PKEY *key;

	made->flags = flags;
	made->public_key = malloc(made->public_key_size = HASH);
	made->handle = malloc(made->handle_size = SEED);
	RAND_bytes(made->handle, SEED);
	key = EVP_PKEY_new_raw_private_key(ED25519, NULL, made->handle, SEED);
	EVP_PKEY_get_raw_public_key(key, made->public_key, &made->public_key_size);
	EVP_PKEY_free(key);
	*answer = made;
	return 0;
}

static int touched(void)
{
	for (int tries = 0; tries < TOUCH_TRIES; tries++, usleep(TOUCH_MICROSECONDS))
		if (access(TOUCHED, F_OK) == 0)
			return 1;
	return 0;
}

int sk_sign(uint32_t kind, const uint8_t *data, size_t size, const char *application, const uint8_t *handle,
	    size_t handle_size, uint8_t flags, const char *pin, void **options, struct signature **answer)
{
	enum { VERIFIED = 4 };
	uint8_t text[HASH + 1 + 4 + HASH];
	struct signature *made;
	EVP_PKEY *key;
	void *context;

	if ((flags & VERIFIED) && (pin == NULL || strcmp(pin, "1234") != 0))
		return PIN_REQUIRED;
	if (handle_size != SEED || !touched())
		return GENERAL;
	made = calloc(1, sizeof *made);
	made->flags = flags;
	made->counter = 1;
	SHA256((const unsigned char *)application, strlen(application), text);
	text[HASH] = flags;
	memcpy(text + HASH + 1, "\0\0\0\1", 4);
	SHA256(data, size, text + HASH + 1 + 4);
	made->r = malloc(made->r_size = SIGNATURE);
	key = EVP_PKEY_new_raw_private_key(ED25519, NULL, handle, SEED);
	context = EVP_MD_CTX_new();
	EVP_DigestSignInit(context, NULL, NULL, NULL, key);
	EVP_DigestSign(context, made->r, &made->r_size, text, sizeof text);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	*answer = made;
	return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count)
{
	*count = 0;
	return 0;
}
