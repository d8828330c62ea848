"""Compares the signer with botocore's on random requests.

Each request is given to both; canonical request, string to sign and
Authorization must be the same to the byte.  The same seed gives the same
requests.  Requests to S3 get their path from an object's key: botocore's
serializer makes one of it, and its signer for S3 signs it.
"""
import argparse
import datetime
import hashlib
import os
import random
import string
import subprocess
import sys

import botocore.serialize
import botocore.session
from botocore import __version__ as version
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'build', 'sign_stdin')
OPERATIONS = ['invocations', 'async-invocations', 'invocations-response-stream']
MEMBERS = [
    'Content-Type', 'Accept', 'X-Amzn-SageMaker-Custom-Attributes',
    'X-Amzn-SageMaker-Target-Model', 'X-Amzn-SageMaker-Target-Variant',
    'X-Amzn-SageMaker-Target-Container-Hostname',
    'X-Amzn-SageMaker-Inference-Id', 'X-Amzn-SageMaker-Enable-Explanations',
    'X-Amzn-SageMaker-Inference-Component', 'X-Amzn-SageMaker-Session-Id',
    'X-Amzn-SageMaker-Prefix-Aware-Id', 'X-Amzn-SageMaker-Content-Type',
    'X-Amzn-SageMaker-Accept', 'X-Amzn-SageMaker-InputLocation',
    'X-Amzn-SageMaker-S3OutputPathExtension', 'X-Amzn-SageMaker-Filename',
    'X-Amzn-SageMaker-RequestTTLSeconds',
    'X-Amzn-SageMaker-InvocationTimeoutSeconds',
    'amz-sdk-invocation-id', 'amz-sdk-request',
    'User-Agent', 'Expect', 'X-Amzn-Trace-Id',
]
REGIONS = ['us-east-1', 'eu-west-3', 'cn-north-1', 'us-gov-west-1',
           'ap-southeast-7', 'us-isob-east-1', 'moon']
PRINTABLE = ''.join(map(chr, range(0x20, 0x7f)))
ALNUM = string.ascii_letters + string.digits
SEGMENT = ALNUM + "-._~!$&'()*+,;=:@"


# What keys are made of: what is encoded, what is not, and what paths normalise.
KEY_PIECES = ['/', '//', '.', '..', '/./', '/../', '~', '+', ' ', '%', '%2F', '?', '#', '&',
              '=', ':', "!_.*'()", '\\', '"', '\x01', '\t', '\x7f', 'ü', 'ß', '€', '日本',
              '\u0301', '\U0001f600', 'a', 'B', '0', '-', '_', '.out']

_s3 = botocore.session.get_session().get_service_model('s3')
_serializer = botocore.serialize.create_serializer(_s3.metadata['protocol'])


def text(rng, alphabet, low, high):
    return ''.join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def header_value(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return ''
    if kind == 1:
        return ' ' * rng.randint(1, 5)
    if kind == 2:
        return text(rng, ' \t"%', 1, 30)
    if kind == 3:
        words = [text(rng, PRINTABLE, 0, 12) for _ in range(rng.randint(1, 9))]
        return (' ' * rng.randint(1, 4)).join(words)
    return text(rng, PRINTABLE, 1, rng.choice([20, 200, 1024]))


def name_case(rng, name):
    return rng.choice([name, name, name.lower(), name.upper(), name.title()])


BRACKETS_ARE_SIGNED = SigV4Auth(None, '', '').headers_to_sign(
    AWSRequest(method='GET', url='http://[::1]:80/'))['host'] == '[::1]'


def host_and_scheme(rng, region):
    port = rng.choice(['', '', ':80', ':443', ':%d' % rng.randint(1, 65535)])
    scheme = rng.choice(['https', 'https', 'http'])
    host = rng.choice([
        'runtime.sagemaker.%s.amazonaws.com' % region.lower(), 'localhost',
        '127.0.0.1', '[::1]', '[2001:db8::17]', 'a.example',
        'vpce-%s.runtime.sagemaker.vpce.amazonaws.com' % text(
            rng, string.ascii_lowercase, 8, 8),
    ])
    # botocore 1.20 signs them without their brackets.
    if host.startswith('[') and not BRACKETS_ARE_SIGNED:
        host = 'localhost'
    return scheme, host + port


def path_segment(rng):
    while True:
        parts = [text(rng, SEGMENT, 1, 8) for _ in range(rng.randint(1, 3))]
        segment = ('%%%02X' % rng.randrange(256)).join(parts)
        if segment not in ('.', '..'):
            return segment


def body(rng):
    size = rng.choice([0, 1, 70, 70, 1000, 20000])
    if rng.random() < 0.5:
        return rng.getrandbits(8 * size).to_bytes(size, 'big') if size else b''
    return text(rng, PRINTABLE + '\n', size, size).encode()


def random_request(rng):
    region = rng.choice(REGIONS + [text(rng, ALNUM, 1, 9) + '-' + text(rng, ALNUM, 1, 20)])
    scheme, host = host_and_scheme(rng, region)
    prefix = ''.join('/' + path_segment(rng) for _ in range(
        rng.choice([0, 0, 1, 2])))
    endpoint = text(rng, ALNUM, 1, 30) + rng.choice(['', '-' + 'x' * 32])
    headers = [(name_case(rng, name), header_value(rng))
               for name in MEMBERS if rng.random() < 0.6]
    rng.shuffle(headers)
    time = datetime.datetime(2000, 1, 1) + datetime.timedelta(
        seconds=rng.randrange(100 * 365 * 86400))
    return {
        'method': 'POST',
        'url': '%s://%s%s' % (scheme, host, prefix),
        'path': '/endpoints/%s/%s' % (endpoint, rng.choice(OPERATIONS)),
        'body': body(rng),
        'key_id': text(rng, string.ascii_uppercase + string.digits, 16, 128),
        'secret': text(rng, PRINTABLE, 1, rng.choice([40, 40, 60, 300])),
        'token': rng.choice([None, text(rng, ALNUM + '+/=', 1, 1500)]),
        'region': region,
        'service': rng.choice(['sagemaker', 'sagemaker', 'sts']),
        'time': time.strftime('%Y%m%dT%H%M%SZ'),
        'headers': headers,
    }


def random_get_object(rng):
    """A GetObject: the bucket is in the host, or in the path before the key."""
    r = random_request(rng)
    bucket = text(rng, string.ascii_lowercase + string.digits, 3, 20)
    region = rng.choice(REGIONS)
    host = 's3.%s.amazonaws.com' % region
    r.update(rng.choice([
        {'url': 'https://%s.%s' % (bucket, host), 'path': '/'},
        {'url': 'https://' + host, 'path': '/%s.%s/' % (bucket, bucket)},
        {'url': 'http://127.0.0.1:%d' % rng.randint(1, 65535), 'path': '/%s/' % bucket},
    ]))
    key = ''.join(rng.choice(KEY_PIECES) for _ in range(rng.randint(1, 30)))
    r.update(method='GET', body=b'', service='s3', region=region, key=key,
             headers=[(name, value) for name, value in r['headers']
                      if name.lower().startswith('amz-sdk-') or name == 'User-Agent'])
    return r


def path_by_botocore(key):
    model = _s3.operation_model('GetObject')
    request = _serializer.serialize_to_request({'Bucket': 'b', 'Key': key}, model)
    return request['url_path'].removeprefix('/b/' if 'Bucket' in model.http['requestUri'] else '/')


def sign_by_botocore(r):
    path = r['path'] + (path_by_botocore(r['key']) if 'key' in r else '')
    request = AWSRequest(method=r['method'], url=r['url'] + path,
                         data=r['body'])
    for name, value in r['headers']:
        request.headers[name] = value
    request.context['timestamp'] = r['time']
    signer = S3SigV4Auth if r['service'] == 's3' else SigV4Auth
    auth = signer(Credentials(r['key_id'], r['secret'], r['token']),
                  r['service'], r['region'])
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    string_to_sign = auth.string_to_sign(request, canonical)
    auth._inject_signature_to_request(
        request, auth.signature(string_to_sign, request))
    return canonical, string_to_sign, request.headers['Authorization']


def hexed(value):
    if isinstance(value, str):
        value = value.encode()
    return value.hex() or '-'


def lines(r):
    headers = r['headers'] + [('X-Amz-Date', r['time'])]
    if r['token']:
        headers.append(('X-Amz-Security-Token', r['token']))
    if r['service'] == 's3':
        headers.append(('X-Amz-Content-SHA256', hashlib.sha256(r['body']).hexdigest()))
    for word in ('method', 'url', 'path', 'key', 'body', 'key_id', 'secret', 'region',
                 'service', 'time'):
        yield '%s %s\n' % (word, hexed(r.get(word, '')))
    for name, value in headers:
        yield 'header %s %s\n' % (hexed(name), hexed(value))
    yield 'sign\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=20260102)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    differ = 0
    program = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    for i in range(options.count):
        r = rng.choice([random_request, random_get_object])(rng)
        program.stdin.write(''.join(lines(r)))
        program.stdin.flush()
        answer = program.stdout.readline().split()
        ours = tuple(bytes.fromhex(part).decode() for part in answer)
        theirs = sign_by_botocore(r)
        if ours != theirs:
            differ += 1
            print('# request %d to %s%s%r differs' % (i, r['url'], r['path'], r.get('key', '')))
            if not ours:
                break
            for mine, other in zip(ours, theirs):
                if mine != other:
                    print('#   ours   %r\n#   theirs %r' % (mine, other))
    program.stdin.close()
    failed = program.wait() != 0 or differ > 0
    print('%sok 1 - agreement with botocore %s: %d of %d requests, seed %d' % (
        'not ' if failed else '', version, options.count - differ,
        options.count, options.seed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
